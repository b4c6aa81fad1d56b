"""How much arithmetic one layer does: what bounds the rounding error of evaluating it, in any precision.

Run on x̂ with unit roundoff u, a layer errs by at most γ_n(u)·(mass·‖x̂‖₂ + at_zero) in the 2-norm, and by underflow. For
a linear layer that is γ_{n+2}(‖ |W| ‖·‖x̂‖ + ‖b‖) for sums of n products in any order, fused or not (Higham 3.5).
Presumes direct or im2col convolution. Elementwise functions are taken to be within `ELEMENTWISE` units of
max(1, L)·|x̂| + |f(0)|, L their largest slope.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import nn

from auditor.methods.robustness.activations import ACTIVATIONS
from auditor.methods.robustness.convolution import absolute_convolution_upper
from auditor.methods.robustness.dense import absolute_norm_upper
from auditor.methods.robustness.operator_norms import (
    CONVOLUTIONS,
    NORMALIZATIONS,
    TRANSPOSED,
    convolution_axes,
    exact_type,
    layer_norm_upper,
    normalization_scale,
)
from auditor.methods.robustness.pooling import ADAPTIVE_AVERAGE, AVERAGE
from auditor.methods.robustness.resampling import COPYING, UPSAMPLINGS
from auditor.methods.robustness.rounding import scaled, unscaled

ELEMENTWISE = 16
EXACT = (nn.ReLU, nn.ReLU6)
"""Activations that choose between numbers of every precision and compute none."""
SLACK = 1 + 1e-9
"""Covers the few roundings of the figures themselves."""


class Arithmetic(NamedTuple):
    """The error of one layer is at most γ_`terms` (`mass` · ‖x̂‖₂ + `at_zero`); `at_zero` is the norm of its output at
    0.
    """

    mass: float
    at_zero: float
    terms: int


def layer_arithmetic(layer: Any, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Arithmetic:
    """The figures of a supported layer between inputs and outputs of these shapes (without the batch)."""
    kind = exact_type(layer)
    entries = math.prod(output_shape)
    if kind is nn.Linear:
        weight, exponent = scaled(layer.weight)
        mass = unscaled(absolute_norm_upper(weight[None]), exponent)
        return Arithmetic(mass, _bias(layer, entries // layer.weight.shape[0]), layer.weight.shape[1] + 2)
    if kind in CONVOLUTIONS or kind in TRANSPOSED:
        axes = convolution_axes(layer, input_shape)
        mass = absolute_convolution_upper(layer.weight, axes, groups=layer.groups, mode=layer.padding_mode)
        # A transposed kernel is [in, out/groups, *taps].
        inputs = layer.weight.shape[0] // layer.groups if kind in TRANSPOSED else layer.weight.shape[1]
        terms = inputs * math.prod(layer.kernel_size) + 2
        return Arithmetic(mass, _bias(layer, math.prod(output_shape[1:])), terms)
    if kind in NORMALIZATIONS:
        scale = normalization_scale(layer)
        mean = layer.running_mean.detach().double() * scale
        bias = 0.0 if layer.bias is None else layer.bias.detach().double().abs()
        offset = float((mean.abs() + bias).norm()) * math.sqrt(math.prod(output_shape[1:]))
        return Arithmetic(float(scale.abs().max()) * SLACK, offset * SLACK, 12)
    if kind in AVERAGE or kind in ADAPTIVE_AVERAGE:
        return Arithmetic(layer_norm_upper(layer, input_shape), 0.0, math.prod(input_shape[1:]) + 4)
    if kind in UPSAMPLINGS and layer.mode not in COPYING:
        return _interpolation(input_shape[1:], output_shape[1:])
    at_zero = _at_zero(layer, input_shape)
    if kind in ACTIVATIONS and kind not in EXACT:
        return Arithmetic(max(1.0, ACTIVATIONS[kind](layer)), at_zero, ELEMENTWISE)
    # A padding constant is itself rounded.
    return Arithmetic(layer_norm_upper(layer, input_shape), at_zero, 1 if at_zero else 0)


def _bias(layer: Any, positions: int) -> float:
    if layer.bias is None:
        return 0.0
    return float(layer.bias.detach().double().norm()) * math.sqrt(positions) * SLACK


def _interpolation(sizes: tuple[int, ...], outputs: tuple[int, ...]) -> Arithmetic:
    """Each weight along an axis of n positions errs by 8nu at most, in three entries of a row; a row of the whole has
    3ᵈ, each a product of d weights below 1, and sums up 2ᵈ of them. The mass is a Frobenius norm.
    """
    touched = 3 ** len(sizes)
    return Arithmetic(
        math.sqrt(touched * math.prod(outputs)) * SLACK, 0.0, 16 * len(sizes) * max(sizes, default=1) + touched + 2
    )


def _at_zero(layer: Any, input_shape: tuple[int, ...]) -> float:
    """‖f(0)‖₂: of activations, of constant padding; 0 for what only moves entries."""
    parameter = next(iter(layer.parameters()), None)
    zeros = torch.zeros(1, *input_shape, dtype=torch.float64, device=None if parameter is None else parameter.device)
    with torch.no_grad():
        value = layer(zeros if parameter is None else zeros.to(parameter.dtype))
    return float(value.double().norm()) * SLACK
