"""Lipschitz constants of functions that act on each entry alone: the largest slope, in every p-norm.

Each constant is proved in tests/methods/robustness/test_activations.py, by closed form or by interval arithmetic over
the whole line. A function with a jump has no constant and is refused: Hardshrink, Threshold where it does not meet its
own value, and Softplus where torch changes over to the identity so early that the jump shows in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import nn

from auditor.methods.robustness.rounding import up

GELU = 1.1289041453
"""Φ(√2) + √2 φ(√2): the slope Φ(x) + x φ(x) turns where its derivative φ(x)(2 − x²) vanishes."""
GELU_TANH = 1.1289930687
SILU = 1.0998393202
MISH = 1.0884981613
SELU = 1.7580993409
"""λα, the slope left of zero (Klambauer et al. 2017; the constants are torch's)."""
SIXTH = up(1 / 6)
"""Hardsigmoid's slope between −3 and 3."""

SMOOTH_CHANGEOVER = 34.0
"""A Softplus that becomes the identity at βx > t jumps there by log(1 + e⁻ᵗ)/β, from this t on by less than half a
unit in the last place of t/β: within the error any evaluation in float64 has.
"""
EXPONENTIAL_RANGE = 700.0
"""eᵗ does not overflow up to here."""


def _leak(slope: float) -> float:
    return max(1.0, abs(slope))


ACTIVATIONS: dict[type[nn.Module], Callable[[Any], float]] = {
    nn.ReLU: lambda layer: 1.0,
    nn.ReLU6: lambda layer: 1.0,
    nn.Hardtanh: lambda layer: 1.0,
    nn.Tanh: lambda layer: 1.0,
    nn.Softsign: lambda layer: 1.0,
    nn.Tanhshrink: lambda layer: 1.0,
    nn.Softshrink: lambda layer: 1.0,
    nn.Threshold: lambda layer: 1.0,
    nn.LogSigmoid: lambda layer: 1.0,
    nn.Softplus: lambda layer: 1.0,
    nn.Sigmoid: lambda layer: 0.25,
    nn.Hardsigmoid: lambda layer: SIXTH,
    nn.Hardswish: lambda layer: 1.5,
    nn.LeakyReLU: lambda layer: _leak(layer.negative_slope),
    nn.PReLU: lambda layer: _leak(float(layer.weight.detach().double().abs().max())),
    nn.RReLU: lambda layer: _leak(up((abs(layer.lower) + abs(layer.upper)) / 2)),
    nn.ELU: lambda layer: _leak(layer.alpha),
    nn.CELU: lambda layer: 1.0,
    nn.SELU: lambda layer: SELU,
    nn.GELU: lambda layer: GELU if layer.approximate == "none" else GELU_TANH,
    nn.SiLU: lambda layer: SILU,
    nn.Mish: lambda layer: MISH,
}
"""The largest slope of each supported activation as it is configured."""

PARAMETERS = {
    nn.LeakyReLU: ("negative_slope",),
    nn.RReLU: ("lower", "upper"),
    nn.ELU: ("alpha",),
    nn.CELU: ("alpha",),
    nn.Hardtanh: ("min_val", "max_val"),
    nn.ReLU6: ("min_val", "max_val"),
    nn.Softshrink: ("lambd",),
    nn.Threshold: ("threshold", "value"),
    nn.Softplus: ("beta", "threshold"),
}
"""The numbers that shape an activation."""


def activation_problem(layer: Any, kind: type[nn.Module]) -> tuple[str, str] | None:
    """Why a supported activation has no bound as it is configured, and the remedy; None where it has one."""
    for name in PARAMETERS.get(kind, ()):
        value = getattr(layer, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return f"has {name} {value}", "give it a finite number"
    if kind is nn.RReLU and layer.training:
        return "is in train mode, so its output is not a function of its input", "call model.eval() first"
    if kind is nn.CELU and layer.alpha <= 0:
        return f"grows exponentially with alpha {layer.alpha}", "give it a positive alpha"
    if kind is nn.Softshrink and layer.lambd < 0:
        return f"jumps with lambd {layer.lambd}", "give it a lambd of at least 0"
    if kind is nn.GELU and layer.approximate not in ("none", "tanh"):
        return f"approximates by {layer.approximate!r}", 'use "none" or "tanh"'
    if kind is nn.Threshold and layer.threshold != layer.value:
        return (
            f"jumps from {layer.value} to {layer.threshold} at {layer.threshold}",
            "set value equal to threshold, or use nn.ReLU",
        )
    if kind is nn.Softplus and layer.beta == 0:
        return "divides by beta 0", "give it a beta other than 0"
    if kind is nn.Softplus and not SMOOTH_CHANGEOVER <= layer.threshold <= EXPONENTIAL_RANGE:
        return (
            f"jumps where beta·x passes its threshold {layer.threshold}",
            "give it threshold=40: outputs change by less than 3e-9/beta, and the jump is below float64's resolution",
        )
    return None
