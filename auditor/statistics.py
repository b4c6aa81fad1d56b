"""Exact and resampled intervals, corrections and power: what turns counts into three-valued verdicts.

Every interval is a pair of one-sided bounds, each at `confidence`. scipy is imported inside the functions, so that
planning does not pay for it.
"""

from __future__ import annotations

from typing import NamedTuple


class Interval(NamedTuple):
    """Two one-sided bounds on one quantity."""

    low: float
    high: float


def clopper_pearson(successes: int, trials: int, *, confidence: float) -> Interval:
    """Exact bounds on a rate: each end misses with probability at most 1 - confidence (Clopper & Pearson 1934).

    No trials say nothing: [0, 1].
    """
    from scipy.stats import beta

    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials")
    low = 0.0 if successes == 0 else float(beta.ppf(1 - confidence, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(beta.ppf(confidence, successes + 1, trials - successes))
    return Interval(low, high)
