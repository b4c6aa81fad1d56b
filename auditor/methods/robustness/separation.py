"""How far rows of different labels lie apart, and what that leaves for any classifier (thesis lemma 6.4).

Two rows at which a classifier is ε-locally robust with different answers are more than 2ε apart: otherwise their
midpoint, within ε of both, would get both answers. So of two rows within 2ε of each other whose labels no robust answer
can serve at once, at most one is certified and right, whatever the classifier. Rows paired off in this way give a
ceiling on verified-robust accuracy: one of each pair is lost.

The same midpoint decides the relaxed guarantees. There both rows' certified sets are sets of highest classes, so one
holds the other and with it both labels. An affinity guarantee rules that out unless one of its sets holds both; top-k
with k ≥ 2 never does, so pairs of rows cap nothing there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from auditor.methods.robustness.nearness import BOUNDS, pair_distances
from auditor.methods.robustness.rounding import gamma
from auditor.tensors import Inputs, Labels
from auditor.terms import Affinity, Norm, Standard, TopK

BLOCK = 256
"""Rows whose nearest conflicts are sought at once."""

FIRST = 2
"""Rows of the lowest bounds that are measured before others are ruled out."""


class Nearest(NamedTuple):
    """For each row the nearest one of a conflicting label: distance, float64 [rows], never below the true one and above
    it by rounding alone; and that row's position, int64 [rows]; infinite and -1 where there is none.
    """

    distance: Tensor
    position: Tensor


class Pairs(NamedTuple):
    """Disjoint pairs of rows, nearest first: distance, float64 [pairs], and positions, int64 [pairs, 2]."""

    distance: Tensor
    positions: Tensor


def conflicting(guarantee: Standard | TopK | Affinity, classes: int) -> Tensor:
    """Which pairs of labels no single certified set may serve, bool [classes, classes], symmetric."""
    if isinstance(guarantee, TopK) and guarantee.k > 1:
        return torch.zeros(classes, classes, dtype=torch.bool)
    apart = ~torch.eye(classes, dtype=torch.bool)
    if isinstance(guarantee, Affinity):
        for members in guarantee.sets:
            inside = torch.zeros(classes, dtype=torch.bool)
            inside[list(members)] = True
            apart &= ~(inside[:, None] & inside[None, :])
    return apart


def nearest_conflicts(
    inputs: Inputs,
    labels: Labels,
    apart: Tensor,
    *,
    norm: Norm = "l2",
    block: int = BLOCK,
    progress: Callable[[int, int], None] | None = None,
) -> Nearest:
    """The nearest row of a conflicting label for each row, exact: `apart` [classes, classes] says which labels
    conflict.

    A bound below every distance (`nearness`) rules out all rows but a few; these are measured in float64. `progress` is
    told the rows done and their number.
    """
    rows, flat = len(labels), inputs.flatten(1)
    apart = apart.to(labels.device)
    found = Nearest(
        torch.full((rows,), math.inf, dtype=torch.float64, device=flat.device),
        torch.full((rows,), -1, dtype=torch.int64, device=flat.device),
    )
    if not rows:
        return found
    below = BOUNDS[norm](inputs)
    for start in range(0, rows, block):
        mine = torch.arange(start, min(start + block, rows), device=flat.device)
        least = below.of(mine).masked_fill_(~apart[labels[mine]][:, labels], math.inf)
        near, first = least.topk(min(FIRST, rows), dim=1, largest=False)
        known = near < math.inf
        _measure(flat, mine[:, None].expand_as(first)[known], first[known], norm, found)
        row, other = (least.scatter_(1, first, math.inf) < found.distance[mine, None]).nonzero().T
        row = mine[row]
        for refined in below.finer:
            kept = refined(row, other) < found.distance[row]
            row, other = row[kept], other[kept]
        _measure(flat, row, other, norm, found)
        if progress is not None:
            progress(int(mine[-1]) + 1, rows)
    return Nearest(found.distance * (1 + 2 * gamma(flat.shape[1] + 4)), found.position)


def _measure(flat: Tensor, row: Tensor, other: Tensor, norm: Norm, found: Nearest) -> None:
    """Measures the pairs `row`, `other` in float64, and keeps in `found` what is nearest, the first of equals."""
    if not len(row):
        return
    far = pair_distances(flat, row, other, norm, torch.float64)
    found.distance.scatter_reduce_(0, row, far, "amin")
    last = len(flat)
    nearest = torch.where(far == found.distance[row], other, last)
    best = torch.full_like(found.position, last).scatter_reduce_(0, row, nearest, "amin")
    found.position.copy_(torch.where(best < last, best, found.position))


def disjoint_pairs(nearest: Nearest) -> Pairs:
    """Rows paired off with their nearest conflicts, nearest pairs first, each row in one pair at most.

    No classifier has more than one row of each pair within 2ε certified at ε and right, so as many rows are lost. That
    is never more than must be lost, and at least half of what these conflicts make inevitable.
    """
    taken: set[int] = set()
    kept: list[tuple[int, int]] = []
    other = nearest.position.tolist()
    for row in nearest.distance.argsort(stable=True).tolist():
        if other[row] >= 0 and row not in taken and other[row] not in taken:
            taken |= {row, other[row]}
            kept.append((row, other[row]))
    positions = torch.tensor(kept, dtype=torch.int64).reshape(-1, 2)
    return Pairs(nearest.distance.cpu()[positions[:, 0]], positions)
