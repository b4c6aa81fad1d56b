"""Which way a finding's value gets worse, and by how much it did."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

ULPS = 4
"""Rounding granted when a difference is compared with a tolerance: 0.85 - 0.84 is a hair more than 0.01 in float64."""


def higher_is_better(threshold: Mapping[str, Any] | None) -> bool:
    """A share of rows (`for_at_least`, `for`) or a value with an `at_least`; for everything else lower is better."""
    threshold = threshold or {}
    return any(key in threshold for key in ("for_at_least", "for", "at_least"))


def worsening(threshold: Mapping[str, Any] | None, before: float | None, after: float | None) -> float | None:
    """How far the value moved in its bad direction, in the metric's units; negative if it improved.

    None where either value is absent. NaN where a number became no number.
    """
    if before is None or after is None:
        return None
    if before == after or math.isnan(before):
        return 0.0
    return before - after if higher_is_better(threshold) else after - before


def beyond(worse: float | None, tolerance: float, *values: float | None) -> bool:
    """Whether `worse` exceeds `tolerance` by more than the rounding of `values`. NaN does."""
    if worse is None:
        return False
    scale = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    return not worse - tolerance <= ULPS * math.ulp(scale)
