"""Layers that a traced forward pass may contain without being a module. `Sum` and `Concatenation` take several values,
the others one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from auditor.methods.robustness.rounding import add_up, divide_up, multiply_up, sqrt_up
from auditor.terms import Norm


class Scale(nn.Module):
    """y = scale · x + shift, entry by entry; both of a shape that broadcasts to one input: normalisation, negation.

    `divisor`: what `scale` was computed from as the inverse.
    """

    def __init__(self, scale: Tensor, shift: Tensor, divisor: Tensor | None = None) -> None:
        super().__init__()
        self.divisor = divisor
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether every input of `shape` is scaled alike, whatever its place in the batch, and by finite numbers."""
        return all(_broadcasts(each, shape) and bool(each.isfinite().all()) for each in (self.scale, self.shift))

    def per_entry(self, shape: tuple[int, ...]) -> Tensor:
        """The factor of each entry of an input of `shape`."""
        return _per_entry(self.scale, shape)

    def shift_norm(self, shape: tuple[int, ...]) -> float:
        """The 2-norm of what is added to an input of `shape`, rounded to nearest."""
        return float(_per_entry(self.shift, shape).double().norm())


def _broadcasts(values: Tensor, shape: tuple[int, ...]) -> bool:
    own = tuple(values.shape)
    if len(own) == len(shape) + 1:
        own = own[1:] if own[0] == 1 else (0,)
    if len(own) > len(shape):
        return False
    return all(size in (1, other) for size, other in zip(reversed(own), reversed(shape), strict=False))


def _per_entry(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    return (values[0] if values.ndim > len(shape) else values).expand(shape)


class Abs(nn.Module):
    """|x|, entry by entry."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs()


class PrependZero(nn.Module):
    """[batch, 1] to [batch, 2] with zero first: one logit f read as [0, f]."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((torch.zeros_like(x), x), dim=1)


class Selection(nn.Module):
    """Entry i of an output of `shape` is entry index[i] of the input, both row-major, or `fill` where index[i] is −1:
    views, slices, repetitions, padding.
    """

    def __init__(self, index: Tensor, shape: tuple[int, ...], fill: float = 0.0) -> None:
        super().__init__()
        self.index: Tensor
        self.register_buffer("index", index)
        self.shape, self.fill = tuple(shape), fill

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        empty = flat.new_full((len(flat), 1), self.fill)
        return torch.cat((flat, empty), 1)[:, self.index].unflatten(1, self.shape)

    def fills(self) -> int:
        """How many entries are `fill`."""
        return int((self.index < 0).sum())


class Total(nn.Module):
    """Sums, or means, over dimensions after the batch."""

    def __init__(self, dims: tuple[int, ...], keepdim: bool, mean: bool) -> None:
        super().__init__()
        self.dims, self.keepdim, self.mean = dims, keepdim, mean

    def forward(self, x: Tensor) -> Tensor:
        return (x.mean if self.mean else x.sum)(self.dims, keepdim=self.keepdim)

    def terms(self, shape: tuple[int, ...]) -> int:
        """How many entries of an input of `shape` one output sums over."""
        return math.prod(shape[dim - 1] for dim in self.dims)

    def lipschitz_upper(self, shape: tuple[int, ...], norm: Norm) -> float:
        """Exact but for rounding up: an output is the inner product with ones, or with 1/n."""
        count = float(self.terms(shape))
        if norm == "linf":
            return 1.0 if self.mean else count
        return divide_up(1.0, math.nextafter(math.sqrt(count), 0.0)) if self.mean else sqrt_up(count)


class Sum(nn.Module):
    """Σ signs[i] · x_i of values of equal shape; each sign is 1 or −1."""

    def __init__(self, signs: tuple[int, ...]) -> None:
        super().__init__()
        self.signs = signs

    def forward(self, *values: Tensor) -> Tensor:
        total = values[0] if self.signs[0] > 0 else -values[0]
        for sign, value in zip(self.signs[1:], values[1:], strict=True):
            total = total + value if sign > 0 else total - value
        return total


class Concatenation(nn.Module):
    """Values one after the other along `dim`, counted with the batch and not the batch itself."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *values: Tensor) -> Tensor:
        return torch.cat(values, self.dim)


class Assumed(nn.Module):
    """A module without a bound of ours, of which the user asserts the Lipschitz constant `lipschitz` in the 2-norm."""

    def __init__(self, module: Any, lipschitz: float) -> None:
        super().__init__()
        self.module, self.lipschitz = module, lipschitz

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)

    def lipschitz_upper(self, shape: tuple[int, ...], norm: Norm) -> float:
        """What follows from the user's word for inputs of `shape`: in the ∞-norm √n times it, n being their entries,
        since ‖f(x) − f(y)‖_∞ ≤ ‖f(x) − f(y)‖₂ ≤ K·‖x − y‖₂ ≤ K·√n·‖x − y‖_∞.
        """
        return self.lipschitz if norm == "l2" else multiply_up(self.lipschitz, sqrt_up(float(math.prod(shape))))


ELEMENTARY = (Scale, Abs, PrependZero, Selection, Total, Sum, Concatenation, Assumed)


def selection_upper(index: Tensor, norm: Norm) -> float:
    """The Lipschitz constant of picking entries `index` (−1: none): the root of the most copies of one entry."""
    copied = index[index >= 0]
    if not copied.numel():
        return 0.0
    return 1.0 if norm == "linf" else sqrt_up(float(torch.bincount(copied.flatten()).max()))


def joined_upper(layer: nn.Module, before: list[float], norm: Norm) -> float:
    """Never below the Lipschitz constant of a `Sum` or `Concatenation` of values that have `before`."""
    if isinstance(layer, Sum):
        return add_up(*before)
    largest = max(before)
    if norm == "linf" or largest in (0.0, math.inf):
        return largest
    shares = [multiply_up(divide_up(each, largest), divide_up(each, largest)) if each else 0.0 for each in before]
    return multiply_up(largest, sqrt_up(add_up(*shares)))
