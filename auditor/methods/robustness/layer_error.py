"""What one layer adds to the error of an evaluation, in float64 or float32.

Elementwise functions other than sums and products are taken to be within `ELEMENTWISE` units of the largest number met
on the way to their value: of mass·|x| + constant. tests/methods/robustness/test_float32.py compares torch's float32
functions with float64 on the whole range of exponents.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from auditor.errors import Unsupported
from auditor.methods.layers import GroupSort, Householder, MinMax
from auditor.methods.robustness.activations import ACTIVATIONS
from auditor.methods.robustness.convolution import absolute_convolution_upper
from auditor.methods.robustness.dense import absolute_norm_upper
from auditor.methods.robustness.elementary import (
    Abs,
    Assumed,
    Concatenation,
    PrependZero,
    Scale,
    Selection,
    Sum,
    Total,
)
from auditor.methods.robustness.graph import Node
from auditor.methods.robustness.layer_kinds import TRANSPOSED
from auditor.methods.robustness.operator_norms import (
    CONVOLUTIONS,
    DROPOUTS,
    NORMALIZATIONS,
    POOLINGS,
    REARRANGEMENTS,
    convolution_axes,
    exact_type,
    layer_norm_upper,
    normalization_scale,
)
from auditor.methods.robustness.pooling import ADAPTIVE_MAXIMUM, MAXIMUM
from auditor.methods.robustness.resampling import COPYING, PADDINGS, UPSAMPLINGS
from auditor.methods.robustness.rounding import scaled, unscaled

ELEMENTWISE = 16
"""Units in the last place by which torch's elementwise functions may err, relative to the numbers they go through."""

ASSUMED = 2.0**-36
"""What float64 is taken to lose, relatively, in a module that we know nothing of: sums of 10⁵ terms lose less."""

SLACK = 1 + 1e-9


class Precision(NamedTuple):
    """`unit`: the unit roundoff. `tiny`: above all underflow errors of one entry of a layer, subnormal numbers flushed
    to zero included. `largest`: no number up to here overflows, sums of several included.
    """

    name: str
    unit: float
    tiny: float
    largest: float

    def gamma(self, n: int) -> float:
        """γ_n = n·u / (1 − n·u), infinite where n·u is no longer small."""
        part = n * self.unit
        return part / (1 - part) * SLACK if part < 0.5 else math.inf

    @property
    def dtype(self) -> torch.dtype:
        return getattr(torch, self.name)


DOUBLE = Precision("float64", 2.0**-53, 2.0**-960, 2.0**1000)
SINGLE = Precision("float32", 2.0**-24, 2.0**-98, 2.0**120)


class Line(NamedTuple):
    """slope · ‖x‖ + offset."""

    slope: float
    offset: float

    def times(self, factor: float) -> Line:
        return Line(self.slope * factor if self.slope else 0.0, self.offset * factor if self.offset else 0.0)

    def plus(self, other: Line | float) -> Line:
        if isinstance(other, Line):
            return Line(self.slope + other.slope, self.offset + other.offset)
        return Line(self.slope, self.offset + other)

    def below(self, ceiling: float) -> float:
        """The largest ‖x‖ at which the line is known to lie below `ceiling`."""
        if not self.offset < ceiling / 2 or not math.isfinite(self.slope):
            return 0.0
        return ceiling / 2 / self.slope if self.slope else math.inf


class LayerError(NamedTuple):
    """A layer's output errs afresh by at most `relative` · (`mass` · ‖x̂‖ + `constant`), and what x̂ lacks is stretched
    by `stretch`; `at_zero` bounds the norm of its output at 0. Of a sum ‖x̂‖ is the sum of its terms' norms.
    """

    stretch: float
    mass: float
    constant: float
    at_zero: float
    relative: float


def layer_error(node: Node, known: Mapping[tuple[int, tuple[int, ...]], float], precision: Precision) -> LayerError:
    """The error of one use of a layer. Raises Unsupported for a layer whose accuracy is not stated here."""
    layer, kind = node.layer, exact_type(node.layer)
    entries = math.prod(node.output_shape)
    if isinstance(layer, (Sum, Concatenation)):
        count = len(node.inputs) if isinstance(layer, Sum) else 1
        return _linear(1.0, precision.gamma(count) if count > 1 else 0.0)
    if isinstance(layer, Scale):
        factor, shift = float(layer.scale.abs().max()), layer.shift_norm(node.output_shape) * SLACK
        return LayerError(factor * SLACK, factor * SLACK, shift, shift, precision.gamma(6))
    if isinstance(layer, Selection):
        copies = torch.bincount(layer.index[layer.index >= 0])
        filled = abs(layer.fill) * math.sqrt(layer.fills()) * SLACK
        stretch = math.sqrt(float(copies.max())) * SLACK if copies.numel() else 0.0
        return LayerError(stretch, stretch, filled, filled, precision.unit if layer.fill else 0.0)
    if isinstance(layer, (Abs, PrependZero)):
        return _linear(1.0, 0.0)
    if isinstance(layer, Total):
        stretch = layer.lipschitz_upper(node.input_shape, "l2")
        return _linear(stretch, precision.gamma(layer.terms(node.input_shape) + 4))
    if isinstance(layer, Assumed):
        return _assumed(node, layer, precision)
    stretch = known.get((id(layer), node.input_shape))
    if stretch is None:
        stretch = layer_norm_upper(layer, node.input_shape, node=node.name)
    if kind is nn.Linear or kind in CONVOLUTIONS or kind in TRANSPOSED:
        return weighted_error(node, stretch, precision)
    if kind in NORMALIZATIONS:
        return _normalization(layer, entries, node.output_shape, stretch, precision)
    exact = (nn.ReLU, MinMax, GroupSort, *MAXIMUM, *ADAPTIVE_MAXIMUM, *REARRANGEMENTS, *DROPOUTS)
    if kind in exact or (kind in UPSAMPLINGS and layer.mode in COPYING):
        return _linear(stretch, 0.0)
    if kind is Householder:
        # Sine and cosine within 16 units: their product with z within 19 units of ‖z‖, the reflection within 80.
        return _linear(stretch, precision.gamma(6 * ELEMENTWISE))
    if kind in PADDINGS:
        filled = abs(float(getattr(layer, "value", 0.0))) * math.sqrt(entries) * SLACK
        return LayerError(stretch, stretch, filled, filled, precision.unit if filled else 0.0)
    if kind in POOLINGS:
        return _linear(stretch, precision.gamma(math.prod(node.input_shape[1:]) + 4))
    if kind in ACTIVATIONS:
        return _activation(node, stretch, entries, precision)
    if kind in UPSAMPLINGS and precision is DOUBLE:
        # Weights err by at most 8nu each, in three entries of a row and axis.
        size = max((*node.input_shape[1:], *node.output_shape[1:]))
        axes = len(node.input_shape) - 1
        mass = math.sqrt(entries) * 3**axes
        return LayerError(stretch, mass, 0.0, 0.0, precision.gamma(16 * size * axes + 16))
    raise Unsupported(
        f"{node.name}: the rounding error of {kind.__name__} in {precision.name} is not bounded",
        node=node.name,
        remedy="use arithmetic: real" if precision is SINGLE else "use another layer",
    )


def _linear(stretch: float, relative: float) -> LayerError:
    return LayerError(stretch, stretch, 0.0, 0.0, relative)


def weighted_error(node: Node, stretch: float, precision: Precision) -> LayerError:
    """Of a dense layer or a convolution, transposed or not, whose Lipschitz bound is `stretch`."""
    layer, entries = node.layer, math.prod(node.output_shape)
    kind = exact_type(layer)
    if kind is nn.Linear:
        positions = entries // layer.weight.shape[0]
        weight, exponent = scaled(layer.weight)
        mass = unscaled(absolute_norm_upper(weight[None]), exponent)
    else:
        positions = math.prod(node.output_shape[1:])
        axes = convolution_axes(layer, node.input_shape)
        mass = absolute_convolution_upper(layer.weight, axes, groups=layer.groups, mode=layer.padding_mode)
    terms = layer.weight[0].numel()
    if kind in TRANSPOSED:
        terms = layer.weight.shape[0] // layer.groups * layer.weight[0, 0].numel()
    bias = 0.0 if layer.bias is None else float(layer.bias.detach().double().norm()) * math.sqrt(positions) * SLACK
    return LayerError(stretch, mass, bias, bias, precision.gamma(terms + 2))


def _normalization(
    layer: Any, entries: int, shape: tuple[int, ...], stretch: float, precision: Precision
) -> LayerError:
    scale = normalization_scale(layer)
    channels = entries // max(1, math.prod(shape[1:]))
    mean = layer.running_mean.detach().double() * scale
    bias = 0.0 if layer.bias is None else layer.bias.detach().double().abs()
    offset = float((mean.abs() + bias).norm()) * math.sqrt(entries / channels) * SLACK
    return LayerError(stretch, float(scale.abs().max()) * SLACK, offset, offset, precision.gamma(12))


EXACT = (nn.ReLU6, nn.Hardtanh, nn.Threshold)
"""Activations that return their input or a constant that they hold, which need not be a float32 number."""

SMOOTH = (nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.Softsign)
"""Activations that go through no number above 1 + |x|, and through none above |x| where the value is near 0."""

SATURATED = 80.0
"""e⁸⁰ does not overflow in float32."""


def _activation(node: Node, stretch: float, entries: int, precision: Precision) -> LayerError:
    layer, kind = node.layer, exact_type(node.layer)
    with torch.no_grad():
        zero = node.layer(torch.zeros((1, *node.input_shape), dtype=torch.float64, device=_device(layer)))
    at_zero = float(zero.norm()) * SLACK
    if kind is nn.Softplus and precision is SINGLE and layer.threshold * max(1.0, 1 / abs(layer.beta)) > SATURATED:
        raise Unsupported(
            f"{node.name}: Softplus with threshold {layer.threshold} overflows in float32",
            node=node.name,
            remedy="give it threshold=40",
        )
    if kind in EXACT:
        return LayerError(stretch, 1.0, _bounds(layer) * math.sqrt(entries), at_zero, precision.unit)
    mass, within = max(1.0, stretch) * 2, at_zero
    if kind not in SMOOTH:
        within += 2 * (1 + abs(float(getattr(layer, "alpha", 1.0))) + _bounds(layer)) * math.sqrt(entries)
    if kind is nn.Softplus:
        within += math.sqrt(entries) / abs(layer.beta)
    return LayerError(stretch, mass, within, at_zero, ELEMENTWISE * precision.unit)


def _bounds(layer: Any) -> float:
    """The largest number that shapes an activation."""
    names = ("min_val", "max_val", "threshold", "value", "lambd")
    return max((abs(float(getattr(layer, name))) for name in names if hasattr(layer, name)), default=0.0)


def _device(layer: Any) -> torch.device:
    return next((tensor.device for tensor in layer.parameters()), torch.device("cpu"))


def _assumed(node: Node, layer: Assumed, precision: Precision) -> LayerError:
    """Of a module that the user vouches for, within `ASSUMED` of the largest value that the constant allows it: part of
    the user's word.
    """
    if precision is SINGLE:
        raise Unsupported(
            f"{node.name}: its constant is assumed, and nothing is known of its rounding in float32",
            node=node.name,
            remedy="use arithmetic: real",
        )
    with torch.no_grad():
        at_zero = (
            float(layer(torch.zeros((1, *node.input_shape), dtype=torch.float64, device=_device(layer))).norm()) * SLACK
        )
    return LayerError(layer.lipschitz, layer.lipschitz, at_zero, at_zero, ASSUMED)
