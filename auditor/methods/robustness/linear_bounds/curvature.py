"""How far each supported activation bends: where it has kinks, and its second derivative's bound elsewhere.

Between two points h apart a function whose slope is Lipschitz with D leaves its chord by at most D·h²/8 (the error of
linear interpolation). D is proved in tests/methods/robustness/linear_bounds/test_curvature.py. `tail` bounds |φ''| at
every x' with |x'| ≥ |x| and falls in |x|, so that long pieces far out cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from auditor.methods.robustness.elementary import Abs
from auditor.methods.robustness.operator_norms import exact_type


class Shape(NamedTuple):
    """`kinks`: where the slope may jump. `curvature`: never below |φ''| between them, 0 for a piecewise-linear
    function; `tail` likewise beyond |x|.
    """

    kinks: tuple[float, ...]
    curvature: float = 0.0
    tail: Callable[[Tensor], Tensor] | None = None


TANH = 0.7698003590
"""4/(3√3), where tanh² = 1/3."""
SIGMOID = 0.0962250449
"""1/(6√3)."""
GELU = 0.7978845609
"""2φ(0): φ'' = φ(x)(2 − x²)."""
GELU_TANH = 0.798
"""Above √(2/π), at 0."""
SILU = 0.5
MISH = 0.7
SELU = 1.7580993409
"""λα: φ'' = λαeˣ left of 0."""


def _tanh_tail(x: Tensor) -> Tensor:
    """|tanh''| = 2|tanh|·sech² ≤ 8e^(−2|x|)."""
    return 8 * (-2 * x.abs()).exp()


def _exponential(factor: float, rate: float = 1.0) -> Callable[[Tensor], Tensor]:
    return lambda x: factor * (-rate * x.abs()).exp()


def _silu_tail(x: Tensor) -> Tensor:
    """σ(1 − σ)|2 + x(1 − 2σ)| ≤ e^(−|x|)(2 + |x|), which falls in |x|."""
    return (-x.abs()).exp() * (2 + x.abs())


def _gelu_tail(x: Tensor) -> Tensor:
    """φ(x)|2 − x²| ≤ ½e^(−x²/2)(2 + x²), which falls in |x|."""
    return 0.5 * (-0.5 * x.square()).exp() * (2 + x.square())


SHAPES: dict[type[nn.Module], Callable[[Any], Shape]] = {
    Abs: lambda layer: Shape((0.0,)),
    nn.ReLU: lambda layer: Shape((0.0,)),
    nn.LeakyReLU: lambda layer: Shape((0.0,)),
    nn.PReLU: lambda layer: Shape((0.0,)),
    nn.RReLU: lambda layer: Shape((0.0,)),
    nn.ReLU6: lambda layer: Shape((float(layer.min_val), float(layer.max_val))),
    nn.Hardtanh: lambda layer: Shape((float(layer.min_val), float(layer.max_val))),
    nn.Threshold: lambda layer: Shape((float(layer.threshold),)),
    nn.Softshrink: lambda layer: Shape((-float(layer.lambd), float(layer.lambd))),
    nn.Hardsigmoid: lambda layer: Shape((-3.0, 3.0)),
    # x(x + 3)/6 between its kinks.
    nn.Hardswish: lambda layer: Shape((-3.0, 3.0), math.nextafter(1 / 3, 1.0)),
    nn.Tanh: lambda layer: Shape((), TANH, _tanh_tail),
    nn.Tanhshrink: lambda layer: Shape((), TANH, _tanh_tail),
    nn.Sigmoid: lambda layer: Shape((), SIGMOID, _exponential(1.0)),
    nn.LogSigmoid: lambda layer: Shape((), 0.25, _exponential(1.0)),
    nn.Softplus: lambda layer: Shape(
        (), abs(layer.beta) / 4 * (1 + 1e-15), _exponential(abs(layer.beta) * (1 + 1e-15), abs(layer.beta))
    ),
    nn.Softsign: lambda layer: Shape((), 2.0, lambda x: 2 / (1 + x.abs()) ** 3),
    nn.ELU: lambda layer: Shape((0.0,), abs(layer.alpha), _exponential(abs(layer.alpha))),
    nn.CELU: lambda layer: Shape((0.0,), (1 + 1e-15) / layer.alpha, _exponential(1.0 / layer.alpha, 1 / layer.alpha)),
    nn.SELU: lambda layer: Shape((0.0,), SELU, _exponential(SELU)),
    nn.GELU: lambda layer: Shape((), GELU, _gelu_tail) if layer.approximate == "none" else Shape((), GELU_TANH),
    nn.SiLU: lambda layer: Shape((), SILU, _silu_tail),
    nn.Mish: lambda layer: Shape((), MISH),
}
"""Of each activation as it is configured, for magnitudes at which a tail is not rounded to less than itself."""


def shape(layer: Any) -> Shape | None:
    """None where the layer does not act on each entry alone, or its shape is not known."""
    found = SHAPES.get(exact_type(layer))
    return None if found is None else found(layer)


def bending(known: Shape, low: Tensor, high: Tensor) -> Tensor:
    """Never below |φ''| between the points `low` ≤ `high`, kinks aside."""
    if not known.curvature or known.tail is None:
        return torch.full_like(low, known.curvature)
    nearest = torch.where((low < 0) & (high > 0), 0.0, torch.minimum(low.abs(), high.abs()))
    # A millionth for rounding of the tail's own value.
    return (known.tail(nearest) * (1 + 1e-6) + 1e-300).clamp_max(known.curvature)
