"""Lipschitz constants of pooling layers.

Average pooling is linear and separates into axes: its matrix is a Kronecker product, its norm the product of the
norms of the one-dimensional pooling matrices, borders and counting rules included. Max pooling takes each value to at
most ∏⌈k_eff/s⌉ windows, and a maximum moves by no more than the 2-norm of its window: √∏⌈k_eff/s⌉.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from auditor.errors import Unsupported
from auditor.methods.robustness.dense import matrix_norm_upper
from auditor.methods.robustness.rounding import UNIT, multiply_up, sqrt_up


def pooling_upper(layer: Any, input_shape: tuple[int, ...], *, node: str | None = None) -> float:
    """Never below the 2-norm Lipschitz constant of an average, adaptive average or max pooling layer on
    `input_shape`.
    """
    sizes = input_shape[1:]
    if isinstance(layer, (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)):
        targets = spread(layer.output_size, len(sizes))
        norms = [
            matrix_norm_upper(
                functional.adaptive_avg_pool1d(_basis(size), size if target is None else target)[0],
                entry_error=4 * UNIT,
            )
            for size, target in zip(sizes, targets, strict=True)
        ]
        return multiply_up(*norms)
    kernels = spread(layer.kernel_size, len(sizes))
    strides = spread(layer.stride, len(sizes))
    paddings = spread(layer.padding, len(sizes))
    if isinstance(layer, (nn.AvgPool1d, nn.AvgPool2d)):
        norms = []
        for size, kernel, stride, padding in zip(sizes, kernels, strides, paddings, strict=True):
            pooled = functional.avg_pool1d(
                _basis(size), kernel, stride, padding, layer.ceil_mode, layer.count_include_pad
            )
            norms.append(matrix_norm_upper(pooled[0], entry_error=4 * UNIT))
        override = getattr(layer, "divisor_override", None)
        if override is None:
            return multiply_up(*norms)
        if layer.ceil_mode or (any(paddings) and not layer.count_include_pad):
            raise Unsupported(
                f"{node or 'average pooling'}: divisor_override with ceil_mode or uncounted padding has no known bound",
                node=node,
                remedy="leave divisor_override away",
            )
        return multiply_up(*norms, float(math.prod(kernels)), (1 + 4 * UNIT) / abs(override))
    if layer.return_indices:
        raise Unsupported(f"{node or 'max pooling'} returns indices", node=node, remedy="set return_indices=False")
    dilations = spread(layer.dilation, len(sizes))
    overlap = 1
    for kernel, stride, dilation in zip(kernels, strides, dilations, strict=True):
        overlap *= -(-((kernel - 1) * dilation + 1) // stride)
    return sqrt_up(float(overlap))


def spread(value: Any, axes: int) -> tuple[Any, ...]:
    """One number per axis, as torch reads a single one."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes


def _basis(size: int) -> torch.Tensor:
    """Unit vectors as channels, [1, size, size]: a one-dimensional layer maps them to its transposed matrix."""
    return torch.eye(size, dtype=torch.float64)[None]
