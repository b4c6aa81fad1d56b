"""Norms in the ∞-norm, during training: the largest sum of magnitudes of a row, read off the live weights.

Nothing is iterated, so up to float32's rounding these are the certifier's constants
(`auditor.methods.robustness.supremum`), and their gradient is exact: the signs of the largest row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.methods.robustness.convolution import Axis
from auditor.methods.robustness.layer_kinds import CONVOLUTIONS, TRANSPOSED, exact_type
from auditor.methods.robustness.operator_norms import convolution_axes
from auditor.methods.robustness.supremum import taps_by_output
from auditor.methods.training.linear_parts import Part, Stacked, scale_of


class Kernel(NamedTuple):
    """A convolution as one kernel `weight` [out, in, *taps]; on each axis `before` taps lie ahead of the output."""

    weight: Tensor
    before: tuple[int, ...]


class RowSum(nn.Module):
    """The ∞-norm of one linear part, differentiable in its weights."""

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.part = part
        self.transposed = not part.dense and exact_type(part.weighted) in TRANSPOSED
        self.axes = 0 if part.dense else len(part.input_shape) - 1
        for place in range(self.axes):
            axis, mode = _geometry(part)[place]
            seen = taps_by_output(axis, mode, transposed=self.transposed)
            self.register_buffer(f"seen{place}", seen.to(part.weighted.weight.device), persistent=False)

    def forward(self) -> Tensor:
        if self.part.dense:
            return rows_of(self.part).abs().sum(1).max()
        sums = self._sums()
        for place in range(self.axes):
            seen = self.get_buffer(f"seen{place}")
            sums = sums.movedim(1, -1) @ seen.to(sums.dtype).mT
        return sums.max()

    def _sums(self) -> Tensor:
        """What each tap adds to an output [out, *taps]."""
        if not self.part.single:
            return kernel_of(self.part).weight.abs().sum(1)
        layer = self.part.weighted
        magnitudes = layer.weight.abs()
        if not self.transposed:
            return magnitudes.sum(1)
        return magnitudes.unflatten(0, (layer.groups, -1)).sum(1).flatten(0, 1)


def rows_of(part: Part) -> Tensor:
    """The matrix [outputs, inputs] of a dense part."""
    weight = part.weighted.weight
    if part.single:
        return weight
    return part(torch.eye(part.input_shape[-1], dtype=weight.dtype, device=weight.device)).T


def kernel_of(part: Part, like: Tensor | None = None) -> Kernel:
    """The sum of the branches, each a convolution between scalings of whole channels, as one kernel of the precision
    and place of `like`, by default those of the first weight.
    """
    place: Tensor = part.weighted.weight if like is None else like
    weights, before = _aligned([_chained(layers, part, place) for _, layers in part.branches])
    signed = [sign * weight for (sign, _), weight in zip(part.branches, weights, strict=True)]
    return Kernel(torch.stack(signed).sum(0), before)


def _chained(layers: Sequence[Any], part: Part, like: Tensor) -> Kernel:
    """Scalings, at most one kernel, and scalings again."""
    channels, *sizes = part.input_shape
    ones = [1] * len(sizes)
    kernel: Kernel | None = None
    factors = torch.ones(channels, dtype=like.dtype, device=like.device)
    for layer in layers:
        if isinstance(layer, Stacked):
            weights, before = _aligned([kernel_of(each, like) for each in layer.maps])
            kernel = Kernel(torch.cat(weights) * factors.reshape(-1, *ones), before)
        elif exact_type(layer) in CONVOLUTIONS:
            spread = _spread(layer, part.input_shape)
            kernel = Kernel(spread.weight * factors.reshape(-1, *ones), spread.before)
        elif kernel is None:
            factors = factors * _per_channel(layer, part.input_shape, like)
        else:
            scale = _per_channel(layer, (len(kernel.weight), *part.output_shape[1:]), like)
            kernel = Kernel(kernel.weight * scale.reshape(-1, 1, *ones), kernel.before)
    return kernel or Kernel(torch.diag(factors).reshape(channels, channels, *ones), (0,) * len(sizes))


def _per_channel(layer: Any, shape: tuple[int, ...], like: Tensor) -> Tensor:
    return scale_of(layer, shape).expand(shape).reshape(shape[0], -1)[:, 0].to(like)


def _spread(layer: Any, shape: tuple[int, ...]) -> Kernel:
    """The kernel of a convolution without groups or dilation: zero where it has no tap."""
    axes = convolution_axes(layer, shape)
    weight = layer.weight
    groups = weight.unflatten(0, (layer.groups, -1))
    kernel = weight.new_zeros(*groups.shape[:2], layer.groups, weight.shape[1], *(axis.extent for axis in axes))
    taps = tuple(slice(None, None, axis.dilation) for axis in axes)
    own = torch.arange(layer.groups, device=weight.device)
    # Indices in the first and third place bring the groups to the front.
    kernel[(own, slice(None), own, slice(None), *taps)] = groups
    return Kernel(kernel.flatten(2, 3).flatten(0, 1), tuple(axis.before for axis in axes))


def _aligned(kernels: Sequence[Kernel]) -> tuple[list[Tensor], tuple[int, ...]]:
    """Kernels on taps that all of them share."""
    before = tuple(map(max, zip(*(kernel.before for kernel in kernels), strict=True)))
    after = tuple(map(max, zip(*(_after(kernel) for kernel in kernels), strict=True)))
    weights = []
    for kernel in kernels:
        missing = [
            (most - own, furthest - reach)
            for most, own, furthest, reach in zip(before, kernel.before, after, _after(kernel), strict=True)
        ]
        weights.append(functional.pad(kernel.weight, [each for pair in reversed(missing) for each in pair]))
    return weights, before


def _after(kernel: Kernel) -> tuple[int, ...]:
    """Taps at and behind the output, on each axis."""
    return tuple(taps - before for taps, before in zip(kernel.weight.shape[2:], kernel.before, strict=True))


def _geometry(part: Part) -> list[tuple[Axis, str]]:
    """Each axis of the part's kernel, with its padding mode."""
    layer = part.weighted
    if part.single:
        return [(axis, layer.padding_mode) for axis in convolution_axes(layer, part.input_shape)]
    with torch.no_grad():
        kernel = kernel_of(part)
    padded = (each for each in part.kernels if any(any(axis[2:4]) for axis in convolution_axes(each, part.input_shape)))
    mode = next((each.padding_mode for each in padded), "zeros")
    sizes = part.input_shape[1:], part.output_shape[1:], kernel.weight.shape[2:], kernel.before, layer.stride
    return [
        (Axis(size, taps, before, max(0, (outputs - 1) * stride + taps - size - before), stride, 1), mode)
        for size, outputs, taps, before, stride in zip(*sizes, strict=True)
    ]
