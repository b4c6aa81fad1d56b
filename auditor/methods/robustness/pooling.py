"""Lipschitz constants of pooling layers.

Average pooling is linear and separates into axes: its matrix is a Kronecker product, its norm the product of the
norms of the one-dimensional pooling matrices, borders and counting rules included. Max pooling moves by no more than
the largest entry of its window moves: 1 in the ∞-norm, and in the 2-norm the root of the most windows that see a
pixel, a product over the axes too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import Unsupported
from auditor.methods.robustness.rounding import UNIT, divide_up, multiply_up, sqrt_up
from auditor.methods.robustness.separable import axis_norm_upper
from auditor.terms import Norm

AVERAGE = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
ADAPTIVE_AVERAGE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
MAXIMUM = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
ADAPTIVE_MAXIMUM = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)

SHARE_ERROR = 4 * UNIT
"""Relative error of an entry 1/count of a computed pooling matrix."""


def pooling_upper(layer: Any, input_shape: tuple[int, ...], *, norm: Norm = "l2", node: str | None = None) -> float:
    """Never below the Lipschitz constant in `norm` of a pooling layer on `input_shape` [channels, *sizes]."""
    sizes = input_shape[1:]
    if isinstance(layer, (*MAXIMUM, *ADAPTIVE_MAXIMUM)):
        counts = [window_counts(layer, sizes, place) for place in range(len(sizes))]
        if any(int(seen.min()) == 0 for seen, _ in counts):
            raise Unsupported(
                f"{node or 'max pooling'} has a window that sees only padding", node=node, remedy="use less padding"
            )
        return 1.0 if norm == "linf" else sqrt_up(float(math.prod(int(most.max()) for _, most in counts)))
    override = getattr(layer, "divisor_override", None)
    norms = [
        axis_norm_upper(_averaging(layer, len(sizes), place), size, norm=norm, entry_error=SHARE_ERROR)
        for place, size in enumerate(sizes)
    ]
    return multiply_up(*norms) if override is None else divide_up(multiply_up(*norms), abs(float(override)))


def _averaging(layer: Any, axes: int, place: int) -> Callable[[Tensor], Tensor]:
    """What an average pooling does along axis `place`, [channels, n] to [channels, m]; sums under a
    `divisor_override`.
    """
    if isinstance(layer, ADAPTIVE_AVERAGE):
        target = spread(layer.output_size, axes)[place]
        return lambda rows: functional.adaptive_avg_pool1d(rows, rows.shape[-1] if target is None else target)
    kernel, stride, padding = (spread(value, axes)[place] for value in (layer.kernel_size, layer.stride, layer.padding))
    if getattr(layer, "divisor_override", None) is None:
        return partial(
            functional.avg_pool1d,
            kernel_size=kernel,
            stride=stride,
            padding=padding,
            ceil_mode=layer.ceil_mode,
            count_include_pad=layer.count_include_pad,
        )
    return lambda rows: functional.avg_pool2d(
        rows[..., None], (kernel, 1), (stride, 1), (padding, 0), layer.ceil_mode, True, divisor_override=1
    )[..., 0]


def window_counts(layer: Any, sizes: tuple[int, ...], place: int) -> tuple[Tensor, Tensor]:
    """Along axis `place` of a max pooling: how many positions each window sees, and how many windows see each
    position.
    """
    size = sizes[place]
    if isinstance(layer, ADAPTIVE_MAXIMUM):
        target = spread(layer.output_size, len(sizes))[place]
        window = torch.arange(size if target is None else target)
        first, last = window * size // len(window), -((window + 1) * -size // len(window)) - 1
        step = 1
    else:
        kernel, stride, padding, dilation = (
            spread(value, len(sizes))[place]
            for value in (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        )
        line = torch.zeros(1, 1, size, dtype=torch.float64)
        windows = functional.max_pool1d(line, kernel, stride, padding, dilation, layer.ceil_mode).shape[-1]
        first = torch.arange(windows) * stride - padding
        last, step = first + (kernel - 1) * dilation, dilation
    seen, most = torch.zeros(len(first), dtype=torch.int64), torch.zeros(size, dtype=torch.int64)
    for offset in range(0, int((last - first).max()) + 1, step):
        position = first + offset
        inside = (position >= 0) & (position < size) & (position <= last)
        seen += inside
        most.index_add_(0, position[inside], torch.ones_like(position[inside]))
    return seen, most


def spread(value: Any, axes: int) -> tuple[Any, ...]:
    """One number per axis, as torch reads a single one."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
