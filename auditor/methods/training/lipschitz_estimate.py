"""Differentiable estimates of Lipschitz constants, for use during training only: in the 2-norm by power iteration.

Power iteration approaches a norm from below (thesis alg. 6.1), so nothing here is a bound: reported constants come
from `auditor.methods.robustness.margin_bounds`. The gradient is that of ‖A v‖ with the iterate v held constant, which
is the norm's own once v has converged (thesis 6.3.3); iterates persist between batches, so two iterations a batch
follow the weights.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from auditor.errors import Unsupported
from auditor.methods.robustness.elementary import Concatenation, PrependZero, Sum
from auditor.methods.training.cutting import linear_parts
from auditor.methods.training.linear_parts import Part
from auditor.methods.training.row_sums import RowSum, rows_of
from auditor.terms import Norm

EARLY_STOP = 1e-6
"""Iterates that turn by less, as one minus the cosine, have converged."""

CHECK_EVERY = 10
"""Iterations between two looks at how far the iterates turn, each of which waits for the device."""

SMALL = 64
"""Dense layers with no more inputs or outputs are solved by `eigh` (thesis 6.3.3), where that waits for no GPU."""


class LinearNorm(nn.Module):
    """The spectral norm of one linear part, with its persistent power iterate `v` [1, *input_shape] of length 1.

    The estimator is no part of the model, so the weights' file never holds an iterate.
    """

    def __init__(self, part: Part, generator: torch.Generator) -> None:
        super().__init__()
        self.part = part
        weight = part.weighted.weight
        start = torch.randn(1, *part.input_shape, generator=generator)
        self.v: Tensor
        dtype = torch.float64 if weight.dtype == torch.float64 else torch.float32
        self.register_buffer("v", (start / start.norm()).to(weight.device, dtype))

    @property
    def exact(self) -> bool:
        """Whether an eigensolver is cheaper than its worth."""
        layer = self.part.weighted
        return self.part.single and self.part.dense and self.v.device.type == "cpu" and min(layer.weight.shape) <= SMALL

    @torch.no_grad()
    def solve(self) -> None:
        """Sets the iterate to the leading right singular vector."""
        weight = self.part.weighted.weight.to(self.v.dtype)
        wide = weight.shape[0] < weight.shape[1]
        vector = torch.linalg.eigh(weight @ weight.T if wide else weight.T @ weight).eigenvectors[:, -1]
        self._move_to((vector @ weight if wide else vector).expand_as(self.v))

    def step(self) -> Tensor:
        """One power iteration; returns one minus the cosine between the iterate before and after."""
        v = self.v.clone().requires_grad_()
        with torch.enable_grad():
            image = self.part(v)
            (adjoint,) = torch.autograd.grad(image, v, image.detach())
        with torch.no_grad():
            return 1 - self._move_to(adjoint)

    def _move_to(self, direction: Tensor) -> Tensor:
        """The cosine between the new iterate and the old, which stays where the map takes it to zero."""
        length = direction.norm()
        after = torch.where(length > 0, direction / length, self.v)
        cosine = (after * self.v).sum()
        self.v.copy_(after)
        return cosine

    def forward(self) -> Tensor:
        """‖A v‖, differentiable in the weights."""
        return self.part(self.v.clone()).norm()


class LipschitzEstimate(nn.Module):
    """K_ji of a network in `norm`: the walk of the certifier over the same parts, with norms by power iteration, or
    by row sums in the ∞-norm.

    `forward` returns the matrix [classes, classes], differentiable in the model's weights, which it reads where they
    are, so they may change between two calls; zero on the diagonal. Batch normalisation counts as in eval mode, by its
    running variance. Raises Unsupported, naming the node, for what the certifier has no bound for.
    """

    def __init__(
        self, model: nn.Module, input_shape: tuple[int, ...], generator: torch.Generator, norm: Norm = "l2"
    ) -> None:
        super().__init__()
        self._model = [model]
        self.norm: Norm = norm
        self.parts = linear_parts(model, tuple(input_shape), norm)
        if not self.parts or len(self.parts[-1].output_shape) != 1:
            shape = self.parts[-1].output_shape if self.parts else tuple(input_shape)
            raise Unsupported(
                f"the model's output has shape {shape} per input, expected one logit per class",
                node=self.parts[-1].name if self.parts else "model",
                remedy="end the model in a dense layer, or flatten its output",
            )
        head = self.heads(len(self.parts) - 1)
        self.norms = nn.ModuleDict(
            {
                str(place): LinearNorm(part, generator) if norm == "l2" else RowSum(part)
                for place, part in enumerate(self.parts)
                if part.weighted is not None and (place not in head or self._taken(place))
            }
        )

    def heads(self, place: int) -> frozenset[int]:
        """Dense layers that give the logits, of which the distances between rows count and not the norm."""
        part = self.parts[place] if place >= 0 else None
        if part is None:
            return frozenset()
        if isinstance(part.join, (Sum, PrependZero)):
            return frozenset().union(*(self.heads(each) for each in part.inputs))
        return frozenset((place,)) if part.dense else frozenset()

    def _taken(self, place: int) -> bool:
        """Whether a part below the logits takes the value at `place`."""
        return any(place in part.inputs and part.join is None for part in self.parts)

    def iterate(self, iterations: int) -> None:
        """Power iterations on every part, fewer where the iterates have converged."""
        running = []
        for norm in self.linear:
            norm.solve() if norm.exact else running.append(norm)
        for number in range(iterations if running else 0):
            turns = [norm.step() for norm in running]
            if number % CHECK_EVERY == CHECK_EVERY - 1 and float(torch.stack(turns).max()) < EARLY_STOP:
                break

    def forward(self, iterations: int = 2) -> Tensor:
        self.iterate(iterations)
        like = next(self._model[0].parameters())
        reaches: list[Tensor | float] = []
        for place, part in enumerate(self.parts):
            below = [reaches[each] if each >= 0 else 1.0 for each in part.inputs]
            if isinstance(part.join, Sum):
                reaches.append(sum(below[1:], below[0]))
            elif isinstance(part.join, Concatenation):
                reaches.append(_joined(below, self.norm))
            elif str(place) in self.norms:
                reaches.append(self.norms[str(place)]() * below[0])
            else:
                reaches.append(_factor(part, like) * below[0])
        return self._margins(len(self.parts) - 1, [*reaches, 1.0])

    @property
    def linear(self) -> list[LinearNorm]:
        """The parts whose norms are found by iteration."""
        return [norm for norm in self.norms.values() if isinstance(norm, LinearNorm)]

    def _margins(self, place: int, reaches: list[Tensor | float]) -> Tensor:
        """As `auditor.methods.robustness.margins.margin_constants`, of the part at `place`."""
        part = self.parts[place] if place >= 0 else None
        if part is not None and isinstance(part.join, PrependZero) and part.inputs[0] >= 0:
            below = self.parts[part.inputs[0]]
            if below.dense:
                rows = rows_of(below)
                return (
                    row_distances(torch.cat((torch.zeros_like(rows[:1]), rows)), self.norm) * reaches[below.inputs[0]]
                )
        elif part is not None and part.dense:
            return row_distances(rows_of(part), self.norm) * reaches[part.inputs[0]]
        elif part is not None and isinstance(part.join, Sum):
            total = self._margins(part.inputs[0], reaches)
            for each in part.inputs[1:]:
                total = total + self._margins(each, reaches)
            return total
        classes = self.parts[-1].output_shape[0]
        reach = torch.as_tensor(reaches[place])
        apart = math.sqrt(2) if self.norm == "l2" else 2.0
        return apart * reach * (1 - torch.eye(classes, dtype=reach.dtype, device=reach.device))


def _factor(part: Part, like: Tensor) -> Tensor | float:
    """The constant of a part without a norm: fixed, or of weights that only scale; of a head 1, which no one reads."""
    if part.slope is not None:
        return part.slope.weight.abs().max().clamp_min(1.0)
    if part.branches and part.weighted is None:
        return part(like.new_ones(1, *part.input_shape)).abs().max()
    return part.factor


def _joined(below: list[Any], norm: Norm) -> Any:
    """The constant of a concatenation of values that have `below`."""
    if norm == "l2":
        return sum((each**2 for each in below[1:]), below[0] ** 2) ** 0.5
    tensors = [each for each in below if isinstance(each, Tensor)]
    return torch.stack([torch.as_tensor(each).to(tensors[0]) for each in below]).max() if tensors else max(below)


def row_distances(rows: Tensor, norm: Norm = "l2") -> Tensor:
    """‖w_j − w_i‖ [rows, rows], of linf the 1-norm, with a gradient of zero where two rows are equal."""
    if norm == "linf":
        return (rows[:, None] - rows).abs().sum(2)
    gram = rows @ rows.T
    squares = gram.diagonal()[:, None] + gram.diagonal()[None, :] - 2 * gram
    apart = ~torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    tiny = torch.finfo(rows.dtype).tiny
    return torch.where(apart, squares.clamp_min(tiny).sqrt(), 0.0)
