"""How much one layer can stretch a distance: upper bounds in the 2-norm and the ∞-norm, proved, for each layer type."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from auditor.methods.layers import GroupSort, Householder, MinMax
from auditor.methods.robustness.activations import ACTIVATIONS
from auditor.methods.robustness.convolution import Axis, convolution_norm_upper
from auditor.methods.robustness.dense import matrix_norm_upper
from auditor.methods.robustness.layer_kinds import (
    CONVOLUTIONS,
    DROPOUTS,
    NORMALIZATIONS,
    POOLINGS,
    REARRANGEMENTS,
    SUPPORTED,
    TRANSPOSED,
    check_layer,
    exact_type,
)
from auditor.methods.robustness.pooling import pooling_upper, spread
from auditor.methods.robustness.resampling import PADDINGS, UPSAMPLINGS, padding_upper, upsampling_upper
from auditor.methods.robustness.rounding import UNIT, sqrt_up, up
from auditor.methods.robustness.supremum import convolution_row_sum_upper, row_sum_upper
from auditor.terms import Norm

__all__ = [
    "CONVOLUTIONS",
    "DROPOUTS",
    "NORMALIZATIONS",
    "NORMALIZATION_ERROR",
    "POOLINGS",
    "REARRANGEMENTS",
    "SUPPORTED",
    "TRANSPOSED",
    "check_layer",
    "convolution_axes",
    "exact_type",
    "layer_norm_upper",
    "normalization_scale",
    "operator_norm_bound",
]

NORMALIZATION_ERROR = 8 * UNIT
"""Relative error of γ/√(var + ε) in float64: a sum, a root, a quotient."""


def operator_norm_bound(layer: nn.Module, input_shape: tuple[int, ...], norm: Norm = "l2") -> float:
    """Never below the Lipschitz constant of `layer` in `norm` on inputs of `input_shape` (without the batch).

    For a linear layer that is its operator norm. Computed in float64 from the weights alone, every rounding counted
    against the bound; a buffer that the forward pass does not use has no influence. Raises Unsupported for a layer
    whose exact type has no known bound, for non-finite weights, and for batch normalisation or dropout in train mode.
    """
    return layer_norm_upper(layer, tuple(input_shape), norm=norm)


def layer_norm_upper(
    layer: Any,
    input_shape: tuple[int, ...],
    *,
    norm: Norm = "l2",
    weight: Tensor | None = None,
    entry_error: float = 0.0,
    node: str | None = None,
) -> float:
    """As `operator_norm_bound`; `weight` replaces that of a dense or (transposed) convolutional layer, exact up to a
    relative `entry_error`.
    """
    kind = exact_type(layer)
    check_layer(layer, input_shape, node)
    if kind in ACTIVATIONS:
        return ACTIVATIONS[kind](layer)
    if kind is nn.Linear:
        upper = matrix_norm_upper if norm == "l2" else row_sum_upper
        return upper(layer.weight if weight is None else weight, entry_error=entry_error)
    if kind in CONVOLUTIONS or kind in TRANSPOSED:
        kernel = layer.weight if weight is None else weight
        axes, groups, mode = convolution_axes(layer, input_shape), layer.groups, layer.padding_mode
        if norm == "l2":
            # A convolution and its adjoint have the same 2-norm.
            return convolution_norm_upper(kernel, axes, groups=groups, mode=mode, entry_error=entry_error)
        return convolution_row_sum_upper(
            kernel, axes, groups=groups, mode=mode, entry_error=entry_error, transposed=kind in TRANSPOSED
        )
    if kind in POOLINGS:
        return pooling_upper(layer, input_shape, norm=norm, node=node)
    if kind in PADDINGS:
        return padding_upper(layer, input_shape, norm=norm)
    if kind in UPSAMPLINGS:
        return upsampling_upper(layer, input_shape, norm=norm, node=node)
    if kind in NORMALIZATIONS:
        return up(float(normalization_scale(layer).abs().max()) * (1 + NORMALIZATION_ERROR))
    if kind is Householder and norm == "linf":
        # A reflection's rows hold |cos θ| and |sin θ|.
        return sqrt_up(2.0)
    assert kind in (MinMax, GroupSort, Householder) or kind in REARRANGEMENTS or kind in DROPOUTS
    return 1.0


def normalization_scale(layer: Any) -> Tensor:
    """γ/√(var + ε) of each channel, float64: what batch normalisation multiplies by in eval mode."""
    variance = layer.running_var.detach().double()
    scale = 1 / (variance + layer.eps).sqrt()
    return scale if layer.weight is None else layer.weight.detach().double() * scale


def convolution_axes(layer: Any, input_shape: tuple[int, ...]) -> tuple[Axis, ...]:
    """The geometry of a convolution on `input_shape` [channels, *sizes]; of a transposed one, that of the convolution
    whose adjoint it is, from its outputs to its inputs.
    """
    sizes = input_shape[1:]
    padding: list[tuple[int, int]]
    if layer.padding == "same":
        totals = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        padding = [(total // 2, total - total // 2) for total in totals]
    elif isinstance(layer.padding, str):
        padding = [(0, 0)] * len(sizes)
    else:
        padding = [(p, p) for p in spread(layer.padding, len(sizes))]
    if exact_type(layer) in TRANSPOSED:
        sizes = tuple(
            (size - 1) * stride - before - after + dilation * (taps - 1) + extra + 1
            for size, taps, (before, after), stride, dilation, extra in zip(
                sizes, layer.kernel_size, padding, layer.stride, layer.dilation, layer.output_padding, strict=True
            )
        )
    return tuple(
        Axis(size, taps, before, after, stride, dilation)
        for size, taps, (before, after), stride, dilation in zip(
            sizes, layer.kernel_size, padding, layer.stride, layer.dilation, strict=True
        )
    )
