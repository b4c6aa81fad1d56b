"""Layers that a traced forward pass may contain without being a module: each maps one input to one output."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Scale(nn.Module):
    """y = scale · x + shift, entry by entry; both of a shape that broadcasts to one input: normalisation, negation."""

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether every input of `shape` is scaled alike, whatever its place in the batch."""
        own = tuple(self.scale.shape)
        if len(own) == len(shape) + 1:
            own = own[1:] if own[0] == 1 else (0,)
        if len(own) > len(shape):
            return False
        return all(size in (1, other) for size, other in zip(reversed(own), reversed(shape), strict=False))

    def per_entry(self, shape: tuple[int, ...]) -> Tensor:
        """The factor of each entry of an input of `shape`."""
        scale = self.scale[0] if self.scale.ndim > len(shape) else self.scale
        return scale.expand(shape)


class Abs(nn.Module):
    """|x|, entry by entry."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs()

    def fits(self, shape: tuple[int, ...]) -> bool:
        return True


class Reshape(nn.Module):
    """Gives each input of a batch the shape `sizes`."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = sizes

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.sizes)

    def fits(self, shape: tuple[int, ...]) -> bool:
        rest = math.prod(size for size in self.sizes if size != -1)
        total = math.prod(shape)
        return total % rest == 0 if -1 in self.sizes else rest == total


class PrependZero(nn.Module):
    """[batch, n] to [batch, n + 1] with zero first: one logit f read as [0, f]."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((torch.zeros_like(x[:, :1]), x), dim=1)

    def fits(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == 1
