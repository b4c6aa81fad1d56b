"""How far logits computed in float64 can lie from the network's real-number logits: δ₆₄ of a certificate.

A layer takes a computed value x̂, ‖x̂ − x‖ ≤ e, to e' ≤ σ·e + γ_{n+2}(‖|W|‖·‖x̂‖ + ‖b‖) + underflow (Higham 3.5; n
terms a sum, any summation order, fused or not), with σ the layer's Lipschitz bound. ‖x̂‖ is bounded by the same
recursion from the norm of the input, so that the result is one line e ≤ slope·‖x‖ + offset for all inputs. Presumes
direct or im2col convolution, as torch computes in float64; elementwise functions are taken to be within 16 units of
the exact value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from auditor.methods.robustness.chain import Step
from auditor.methods.robustness.convolution import absolute_convolution_upper
from auditor.methods.robustness.dense import absolute_norm_upper
from auditor.methods.robustness.elementary import Abs, PrependZero, Reshape, Scale
from auditor.methods.robustness.operator_norms import (
    CONVOLUTIONS,
    NORMALIZATIONS,
    POOLINGS,
    convolution_axes,
    exact_type,
    layer_norm_upper,
    normalization_scale,
)
from auditor.methods.robustness.rounding import UNIT, gamma, scaled, unscaled

ELEMENTWISE = 16 * UNIT
SUBNORMAL = 2.0**-1060
SLACK = 1 + 1e-9
"""Covers the roundings of this recursion itself: fewer than 10⁶ operations on non-negative numbers, each off by u."""


class EvaluationError(NamedTuple):
    """‖computed logits − exact logits‖₂ ≤ `slope` · ‖x‖₂ + `offset` for every input x."""

    slope: float
    offset: float

    def at(self, input_norms: Tensor) -> Tensor:
        """The bound for inputs of these 2-norms, float64 [batch]."""
        return (self.slope * input_norms.double() + self.offset) * SLACK


class _Line(NamedTuple):
    """slope · ‖x‖ + offset."""

    slope: float
    offset: float

    def __mul__(self, factor: float) -> _Line:  # type: ignore[override]
        return _Line(self.slope * factor, self.offset * factor)

    def plus(self, other: _Line | float) -> _Line:
        if isinstance(other, _Line):
            return _Line(self.slope + other.slope, self.offset + other.offset)
        return _Line(self.slope, self.offset + other)


Known = Mapping[tuple[int, tuple[int, ...]], float]
"""Lipschitz bounds already proved, by the layer's id and input shape."""


def evaluation_error(steps: tuple[Step, ...], known: Known | None = None) -> EvaluationError:
    """The error of running `steps` one after the other in float64 on inputs that are exact in float64."""
    size, error = _Line(1.0, 0.0), _Line(0.0, 0.0)
    for step in steps:
        stretch, mass, constant, relative = _layer(step, known or {})
        entries = math.sqrt(math.prod(step.output_shape))
        computed = size.plus(error)
        fresh = (computed * mass).plus(constant) * relative
        error = (error * stretch).plus(fresh).plus(SUBNORMAL * entries)
        size = (size * stretch).plus(constant)
    return EvaluationError(error.slope * SLACK, error.offset * SLACK)


def _layer(step: Step, known: Known) -> tuple[float, float, float, float]:
    """(Lipschitz bound, norm of the absolute values, norm of the output at 0, relative rounding error) of a layer."""
    layer, kind = step.layer, exact_type(step.layer)
    entries = math.prod(step.output_shape)
    if isinstance(layer, Scale):
        factor = float(layer.scale.abs().max())
        shift = float(layer.shift.abs().max()) * math.sqrt(entries)
        return factor * SLACK, factor, shift * SLACK, gamma(6)
    if isinstance(layer, (Abs, Reshape, PrependZero)):
        return 1.0, 1.0, 0.0, 0.0
    stretch = known.get((id(layer), step.input_shape))
    if stretch is None:
        stretch = layer_norm_upper(layer, step.input_shape, node=step.name)
    if kind is nn.Linear or kind in CONVOLUTIONS:
        bias = 0.0 if layer.bias is None else float(layer.bias.detach().double().norm())
        if kind is nn.Linear:
            positions = entries // layer.weight.shape[0]
            weight, exponent = scaled(layer.weight)
            mass = unscaled(absolute_norm_upper(weight[None]), exponent)
        else:
            positions = math.prod(step.output_shape[1:])
            axes = convolution_axes(layer, step.input_shape)
            mass = absolute_convolution_upper(layer.weight, axes, groups=layer.groups, mode=layer.padding_mode)
        return stretch, mass, bias * math.sqrt(positions) * SLACK, gamma(layer.weight[0].numel() + 2)
    if kind in NORMALIZATIONS:
        scale = normalization_scale(layer)
        channels = entries // max(1, math.prod(step.output_shape[1:]))
        mean = layer.running_mean.detach().double() * scale
        bias = 0.0 if layer.bias is None else layer.bias.detach().double().abs()
        offset = float((mean.abs() + bias).norm()) * math.sqrt(entries / channels)
        return stretch, float(scale.abs().max()), offset * SLACK, gamma(12)
    if kind in POOLINGS and kind not in (nn.MaxPool1d, nn.MaxPool2d):
        window = math.prod(step.input_shape[1:])
        return stretch, stretch, 0.0, gamma(window + 4)
    if kind is nn.Tanh:
        return stretch, 1.0, 0.0, ELEMENTWISE
    if kind is nn.Sigmoid:
        return stretch, 0.25, 0.5 * math.sqrt(entries), ELEMENTWISE
    if kind is nn.LeakyReLU:
        return stretch, stretch, 0.0, UNIT
    return stretch, stretch, 0.0, 0.0
