"""Exact and resampled intervals, corrections and power: what turns counts into three-valued verdicts.

Every interval is a pair of one-sided bounds, each at `confidence`. scipy is imported inside the functions, so that
planning does not pay for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np


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


def bootstrap_mean(values: np.ndarray, *, confidence: float, seed: int, resamples: int = 9999) -> Interval:
    """Percentile bootstrap bounds on a mean (Efron 1979); too narrow where values are few or heavy-tailed."""
    import numpy as np

    if len(values) == 0:
        raise ValueError("the mean of no values")
    generator = np.random.default_rng(seed)
    chunk = max(1, (1 << 22) // len(values))
    sizes = [chunk] * (resamples // chunk) + [resamples % chunk] * (resamples % chunk > 0)
    means = [values[generator.integers(len(values), size=(size, len(values)))].mean(axis=1) for size in sizes]
    low, high = np.quantile(np.concatenate(means), [1 - confidence, confidence])
    return Interval(float(low), float(high))
