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

from torch import Tensor

from auditor.methods.robustness.arithmetic import layer_arithmetic
from auditor.methods.robustness.chain import Step
from auditor.methods.robustness.elementary import Abs, PrependZero, Reshape, Scale
from auditor.methods.robustness.operator_norms import layer_norm_upper
from auditor.methods.robustness.rounding import gamma

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
    layer = step.layer
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
    mass, at_zero, terms = layer_arithmetic(layer, step.input_shape, step.output_shape)
    return stretch, mass, at_zero, gamma(terms)
