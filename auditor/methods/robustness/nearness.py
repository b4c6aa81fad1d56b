"""Bounds below the distances of rows, far cheaper than the distances: what they rule out need not be measured.

l2: one matrix product in float32, less all that its rounding may hide. linf: the differences of the largest
values of blocks of coordinates, of large blocks first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from auditor.methods.robustness.arithmetic import lowered_float32
from auditor.methods.robustness.layer_error import SINGLE
from auditor.methods.robustness.rounding import gamma
from auditor.terms import Norm

CHUNK = 512
"""Products that are summed in float32 before float64 takes over."""

FEW = 128
"""Blocks of coordinates that are left to compare in linf, or a few times as many."""

ENTRIES = 1 << 20
"""Input values of pairs looked at at once."""

SHORT = 1 - 2.0**-22
"""Covers the rounding of a difference in float32 or float64."""


class ProductBound:
    """‖a − b‖₂ ≥ √(|a|² + |b|² − 2ab − what rounding hides), for all pairs of `inputs` [rows, *input].

    Rows are centred, which moves no distance, scaled to entries of at most 1 and rounded to float32, where torch's
    float32 is true, else kept in float64. A product sums `CHUNK` terms at a time, so that it errs by at most
    γ_(CHUNK+4)|a||b| with the rounding of a and b, and by what underflows.
    """

    finer: tuple[Callable[[Tensor, Tensor], Tensor], ...] = ()

    def __init__(self, inputs: Tensor) -> None:
        flat = inputs.flatten(1)
        mean = flat.mean(0, dtype=torch.float64)
        largest = float(torch.maximum(flat.amax(0) - mean, mean - flat.amin(0)).max())
        self.scale = largest if largest > 0 else 1.0
        single = flat.dtype == torch.float32 and not lowered_float32(flat.device)
        parts, squares = [], []
        for part in flat.split(1024):
            centred = (part.double() - mean) / self.scale
            squares.append(centred.square().sum(1))
            parts.append(centred.float() if single else centred)
        self.rows, self.squares = torch.cat(parts), torch.cat(squares)
        self.lengths = self.squares.sqrt()
        features = flat.shape[1]
        product = SINGLE.gamma(min(CHUNK, features) + 4) if single else 0.0
        # 2|a||b| and |a|² + |b|² are no more than half of (|a| + |b|)² and all of it.
        self.hidden = product / 2 + 16 * gamma(features + 16), features * 2.0**-96

    def of(self, mine: Tensor) -> Tensor:
        """Of the distances of the rows `mine` to all: float64 [mine, rows]."""
        product = torch.zeros(len(mine), len(self.rows), dtype=torch.float64, device=self.rows.device)
        for part in self.rows.split(CHUNK, dim=1):
            product += part[mine] @ part.T
        relative, absolute = self.hidden
        square = self.squares[mine, None] + self.squares - 2 * product
        square -= relative * (self.lengths[mine, None] + self.lengths).square() + absolute
        return square.clamp_min_(0.0).sqrt_().mul_(self.scale * SHORT).nan_to_num_(0.0, 0.0, 0.0)


class PooledBound:
    """‖a − b‖∞ ≥ |max_B a − max_B b| for every block B of coordinates, and the same of minima: for all pairs of
    `inputs` [rows, *input]. Neighbours go together, in images those in space: there blocks are nearly of one value.
    """

    def __init__(self, inputs: Tensor) -> None:
        cells = inputs if inputs.ndim in (3, 4) else inputs.flatten(1)[:, None]
        width, axes = 1, cells.ndim - 2
        while math.prod(inputs.shape[1:]) >= FEW * (2 * width) ** axes:
            width *= 2
        self.first = _pooled(cells, width)
        halves = torch.cat((_pooled(cells, width // 2), _pooled(-cells, width // 2)), 1)
        self.finer = tuple(partial(self._finer, each) for each in (halves, inputs.flatten(1))) if width > 1 else ()

    def of(self, mine: Tensor) -> Tensor:
        """Of the distances of the rows `mine` to all: [mine, rows]."""
        return torch.cdist(self.first[mine], self.first, p=torch.inf).mul_(SHORT).nan_to_num_(0.0, 0.0).double()

    def _finer(self, pooled: Tensor, row: Tensor, other: Tensor) -> Tensor:
        """Of the distances of the pairs `row`, `other` [pairs]."""
        return pair_distances(pooled, row, other, "linf", pooled.dtype).mul_(SHORT).nan_to_num_(0.0, 0.0).double()


def _pooled(cells: Tensor, width: int) -> Tensor:
    """The largest value of each block of `width` cells an axis [rows, blocks]."""
    pool = nn.functional.max_pool1d if cells.ndim == 3 else nn.functional.max_pool2d
    if width <= 1:
        return cells.flatten(1)
    return pool(cells, [min(width, size) for size in cells.shape[2:]], ceil_mode=True).flatten(1)


def pair_distances(flat: Tensor, row: Tensor, other: Tensor, norm: Norm, dtype: torch.dtype) -> Tensor:
    """The distances of the pairs `row`, `other` [pairs] of rows of `flat`, computed in `dtype`. Pairs of the same row
    are to follow each other.
    """
    count = max(1, ENTRIES // flat.shape[1])
    rows, runs = row.unique_consecutive(return_counts=True)
    far = torch.empty(len(row), dtype=dtype, device=flat.device)
    start = 0
    for mine, run in zip(rows.tolist(), runs.tolist(), strict=True):
        own = flat[mine].to(dtype)
        for part in other[start : start + run].split(count):
            difference = flat.index_select(0, part).to(dtype).sub_(own)
            # Far quicker than vector_norm of order ∞.
            each = difference.abs_().amax(1) if norm == "linf" else torch.linalg.vector_norm(difference, dim=1)
            far[start : start + len(part)] = each
            start += len(part)
    return far


BOUNDS: dict[Norm, Callable[[Tensor], ProductBound | PooledBound]] = {"l2": ProductBound, "linf": PooledBound}
