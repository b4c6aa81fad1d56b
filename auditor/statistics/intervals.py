"""Intervals of rates and of their differences, from counts.

Every interval is a pair of one-sided bounds, each at `confidence`. scipy is imported inside the functions, so that
planning does not pay for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


class Interval(NamedTuple):
    """Two one-sided bounds on one quantity."""

    low: float
    high: float


class Bounds(NamedTuple):
    """Two one-sided bounds on each of many quantities."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def clopper_pearson(successes: int, trials: int, *, confidence: float) -> Interval:
    """Exact bounds on a rate: each end misses with probability at most 1 - confidence (Clopper & Pearson 1934).

    No trials say nothing: [0, 1].
    """
    low, high = clopper_pearson_bounds(successes, trials, confidence=confidence)
    return Interval(float(low), float(high))


def clopper_pearson_bounds(successes: ArrayLike, trials: ArrayLike, *, confidence: float) -> Bounds:
    """`clopper_pearson` for arrays of counts, each rate by itself."""
    import numpy as np
    from scipy.stats import beta

    k, n = np.broadcast_arrays(np.asarray(successes, np.int64), np.asarray(trials, np.int64))
    if np.any((k < 0) | (k > n)):
        raise ValueError(f"{successes} successes of {trials} trials")
    low = np.where(k == 0, 0.0, beta.ppf(1 - confidence, np.maximum(k, 1), n - k + 1))
    high = np.where(k == n, 1.0, beta.ppf(confidence, k + 1, np.maximum(n - k, 1)))
    return Bounds(low, high)


def difference(successes: int, trials: int, other: int, other_trials: int, *, confidence: float) -> Interval:
    """Score bounds on p - q from two independent samples (Miettinen & Nurminen 1985), such as TPR - FPR.

    With Yates's correction of half a count a side, which a bare score test lacks: counts come in steps, so its ends
    miss up to 1.5 times as often as they should. Not a theorem; the tests add up every outcome of small samples and
    find each end to miss at most 1 - confidence. It keeps a width where a bootstrap collapses: at rates of 0 or 1.
    Either side without trials says nothing: [-1, 1].
    """
    if not 0 <= successes <= trials or not 0 <= other <= other_trials:
        raise ValueError(f"{successes} of {trials} against {other} of {other_trials}")
    if trials == 0 or other_trials == 0:
        return Interval(-1.0, 1.0)
    observed = successes / trials - other / other_trials
    half_a_count = (1 / trials + 1 / other_trials) / 2

    def standard(delta: float) -> float:
        p, q = _rates_at(delta, successes, trials, other, other_trials)
        variance = (p * (1 - p) / trials + q * (1 - q) / other_trials) * (trials + other_trials)
        variance /= trials + other_trials - 1
        gap = observed - delta
        return _ratio(math.copysign(max(abs(gap) - half_a_count, 0.0), gap), variance)

    return _inverted(standard, observed, confidence=confidence)


def paired_difference(gained: int, lost: int, rows: int, *, confidence: float) -> Interval:
    """Score bounds on the mean of a quantity: +1 on `gained` of `rows` rows, -1 on `lost`, 0 on the rest (Tango 1998).

    The two rates are measured on the same rows, as a share of predictions against a share of labels. No rows: [-1, 1].
    """
    if gained < 0 or lost < 0 or gained + lost > rows:
        raise ValueError(f"{gained} gained and {lost} lost of {rows} rows")
    if rows == 0:
        return Interval(-1.0, 1.0)
    observed = (gained - lost) / rows

    def standard(delta: float) -> float:
        linear = (2 * rows - gained + lost) * delta - gained - lost
        root = math.sqrt(max(linear**2 + 8 * rows * lost * delta * (1 - delta), 0.0))
        lost_rate = (root - linear) / (4 * rows)
        return _ratio(observed - delta, (2 * lost_rate + delta * (1 - delta)) / rows)

    return _inverted(standard, observed, confidence=confidence)


def _rates_at(delta: float, x: int, m: int, y: int, n: int) -> tuple[float, float]:
    """The likeliest p and q = p - delta for x of m and y of n: root of a cubic in q (Miettinen & Nurminen, app. 1)."""
    total = m + n
    cubic = total
    square = (m + 2 * n) * delta - total - x - y
    linear = (n * delta - total - 2 * y) * delta + x + y
    constant = y * delta * (1 - delta)
    shift = square / (3 * cubic)
    half = shift**3 - square * linear / (6 * cubic**2) + constant / (2 * cubic)
    size = math.copysign(math.sqrt(max(shift**2 - linear / (3 * cubic), 0.0)), half)
    turn = 0.0 if size == 0 else min(1.0, max(-1.0, half / size**3))
    q = 2 * size * math.cos((math.pi + math.acos(turn)) / 3) - shift
    q = min(max(q, 0.0, -delta), 1.0, 1.0 - delta)
    return min(max(q + delta, 0.0), 1.0), q


def _ratio(gap: float, variance: float) -> float:
    if variance > 0:
        return gap / math.sqrt(variance)
    return math.copysign(math.inf, gap) if gap else 0.0


def _inverted(standard: Callable[[float], float], observed: float, *, confidence: float) -> Interval:
    """The differences whose score test keeps them, by bisection; `standard` falls as the difference grows."""
    from scipy.stats import norm

    z = float(norm.ppf(confidence))

    def crossing(level: float, left: float, right: float) -> tuple[float, float]:
        for _ in range(60):
            middle = (left + right) / 2
            left, right = (middle, right) if standard(middle) > level else (left, middle)
        return left, right

    low = crossing(z, -1.0, observed)[0] if observed > -1 else -1.0
    high = crossing(-z, observed, 1.0)[1] if observed < 1 else 1.0
    return Interval(low, high)


def dkw_radius(rows: int, *, confidence: float) -> float:
    """Half-width of the band around an empirical distribution function (Dvoretzky, Kiefer & Wolfowitz; Massart 1990).

    The true function leaves the band anywhere, on either side, with probability at most 1 - confidence.
    """
    return math.sqrt(math.log(2 / (1 - confidence)) / (2 * rows)) if rows else 1.0
