"""The stratified bootstrap: how far a statistic would move had other rows been drawn, group by group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from auditor.statistics.intervals import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CELLS = 1 << 22
"""Weights held at a time; memory does not grow with the number of resamples."""


def resampled(
    statistic: Callable[..., NDArray[np.float64]], sizes: Sequence[int], *, resamples: int, seed: int
) -> NDArray[np.float64]:
    """`statistic` on `resamples` bootstrap samples, each group resampled to its own size.

    `statistic` gets one weight array [chunk, size] a group, how often each row was drawn, and returns [chunk, ...].
    The draws depend on the seed alone, not on the chunks.
    """
    import numpy as np

    if resamples < 1 or min(sizes) < 1:
        raise ValueError(f"{resamples} resamples of groups of {tuple(sizes)} rows")
    streams = [np.random.default_rng((seed, group)) for group in range(len(sizes))]
    chunk = max(1, CELLS // sum(sizes))
    parts = []
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        weights = [_draw(stream, rows, size) for stream, size in zip(streams, sizes, strict=True)]
        parts.append(statistic(*weights))
    return np.concatenate(parts)


def _draw(stream: np.random.Generator, rows: int, size: int) -> NDArray[np.int64]:
    import numpy as np

    picks = stream.integers(size, size=(rows, size)) + np.arange(rows)[:, None] * size
    return np.bincount(picks.ravel(), minlength=rows * size).reshape(rows, size)


def percentile_interval(replicates: NDArray[np.float64], *, low: float, high: float) -> Interval:
    """One-sided bounds from bootstrap replicates: the lower at confidence `low`, the upper at confidence `high`."""
    import numpy as np

    return Interval(float(np.quantile(replicates, 1 - low)), float(np.quantile(replicates, high)))


def bca_interval(
    replicates: NDArray[np.float64], observed: float, jackknife: NDArray[np.float64], *, low: float, high: float
) -> Interval:
    """Bias-corrected, accelerated bounds (Efron 1987): the lower at confidence `low`, the upper at `high`.

    `jackknife` holds the influence of every row on the statistic (first-order, of any common scale); groups of unequal
    size enter with their own. Replicates without spread give the observed value at both ends.
    """
    import numpy as np
    from scipy.stats import norm

    if np.ptp(replicates) == 0:
        return Interval(observed, observed)
    below = np.mean(replicates < observed) + np.mean(replicates == observed) / 2
    edge = 0.5 / len(replicates)
    bias = norm.ppf(np.clip(below, edge, 1 - edge))
    cubes, squares = np.sum(jackknife**3), np.sum(jackknife**2)
    acceleration = cubes / (6 * squares**1.5) if squares > 0 else 0.0

    def quantile(confidence: float) -> float:
        import numpy as np

        shifted = bias + norm.ppf(confidence)
        return float(np.quantile(replicates, norm.cdf(bias + shifted / (1 - acceleration * shifted))))

    return Interval(quantile(1 - low), quantile(high))
