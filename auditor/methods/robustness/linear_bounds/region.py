"""Where the inputs lie: boxes and balls, and the least that a linear function takes on them, rounded down."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from auditor.methods.robustness.linear_bounds.lines import TINY
from auditor.methods.robustness.rounding import gamma

SLACK = 1 + 1e-9
"""Covers the rounding of what is charged for rounding."""


class Region(NamedTuple):
    """Around each row all x with |x − centre| ≤ radius entrywise, both [rows, *input], and where `epsilon` is given
    ‖x − origin‖₂ ≤ epsilon besides.
    """

    centre: Tensor
    radius: Tensor
    origin: Tensor
    epsilon: float | None

    def of(self, rows: Tensor | slice) -> Region:
        return Region(self.centre[rows], self.radius[rows], self.origin[rows], self.epsilon)

    def least(self, coefficients: Tensor, additions: int) -> Tensor:
        """Never above A·x over the region for A [rows, specs, *input], rounding of `additions` later sums included."""
        share = gamma(self.centre[0].numel() + additions)
        magnitude = coefficients.abs()
        spread = inner(magnitude, self.radius)
        found = inner(coefficients, self.centre) - SLACK * (
            spread * (1 + share) + share * inner(magnitude, self.centre.abs())
        )
        if self.epsilon is None:
            return found - TINY
        # A square that underflows lacks less than 2⁻⁵⁰⁰ in the length.
        length = coefficients.flatten(2).norm(dim=2) + 2.0**-500 * math.sqrt(self.centre[0].numel())
        around = inner(coefficients, self.origin) - SLACK * (
            self.epsilon * length * (1 + share) + share * inner(magnitude, self.origin.abs())
        )
        return torch.maximum(found, around) - TINY


def inner(coefficients: Tensor, values: Tensor) -> Tensor:
    """Σ A·v for A [rows, specs, *shape] and v [rows or 1, *shape]: [rows, specs]."""
    flat = values.flatten(1)
    return (coefficients.flatten(2) @ flat.expand(len(coefficients), -1)[:, :, None])[..., 0]
