"""The largest slopes of functions that act entry by entry or within small groups, never below the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

ONES = frozenset(
    (
        "Abs", "AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout", "Flatten",
        "GroupSort", "Hardtanh", "Identity", "LogSigmoid", "MinMax", "PixelShuffle", "PixelUnshuffle", "PrependZero",
        "ReLU", "ReLU6", "Reshape", "Softsign", "Tanh", "Tanhshrink", "Unflatten",
    )
)  # fmt: skip
"""Functions without weights that stretch nothing in either norm: of slope at most 1 entry by entry, a rearrangement, or
a sorting of groups.
"""

SLOPES = {
    "Sigmoid": 0.25,
    "Hardsigmoid": 1 / 6,
    "Hardswish": 1.5,
    "SiLU": 1.0998393202,
    "Mish": 1.0884981613,
    "SELU": 1.0507009873554805 * 1.6732632423543772,
}

GELU = {"none": 0.5 * (1 + math.erf(1.0)) + math.exp(-1.0) / math.sqrt(math.pi), "tanh": 1.1289930687}
"""Φ(√2) + √2 φ(√2), where the slope Φ(x) + x φ(x) turns; the tanh form's is a number like the others."""

SMOOTH_CHANGEOVER = 34.0
"""Where a Softplus may become the identity: its jump log(1 + e⁻³⁴)/β there is below what float64 resolves."""

Options = Mapping[str, Any]

SHAPED: dict[str, Callable[[Options], float]] = {
    "GELU": lambda options: GELU[options["approximate"]],
    "LeakyReLU": lambda options: max(1.0, abs(options["slope"])),
    "ELU": lambda options: max(1.0, abs(options["slope"])),
    "RReLU": lambda options: max(1.0, (abs(options["lower"]) + abs(options["upper"])) / 2 * (1 + 2.0**-51)),
    "CELU": lambda options: 1.0 if options["alpha"] > 0 else math.inf,
    "Softplus": lambda options: 1.0 if options["beta"] and options["threshold"] >= SMOOTH_CHANGEOVER else math.inf,
    "Softshrink": lambda options: 1.0 if options["lambd"] >= 0 else math.inf,
    "Threshold": lambda options: 1.0 if options["threshold"] == options["value"] else math.inf,
}
"""The largest slope by the numbers that shape a function; infinite where it jumps."""


def largest_slope(kind: str, options: Options) -> float | None:
    """None for what is no function of this kind. Raises KeyError for a missing option."""
    if kind in ONES:
        return 1.0
    return SLOPES[kind] if kind in SLOPES else SHAPED[kind](options) if kind in SHAPED else None


def parametric_slope(slopes: np.ndarray) -> float:
    """Of slope 1 on one side and, on the other, one of `slopes` a channel."""
    return max(1.0, float(np.abs(slopes).max(initial=0.0)))
