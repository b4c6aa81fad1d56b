"""How much of one sample lies beyond a far quantile of another, such as the TPR at 1 % false positives."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from auditor.statistics.intervals import Interval, clopper_pearson
from auditor.statistics.multiplicity import bonferroni

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class TailRate(NamedTuple):
    """The share found, and bounds on the true one, each exact at the confidence asked for."""

    value: float
    interval: Interval


def tail_rate(inside: ArrayLike, outside: ArrayLike, *, tail: float, confidence: float) -> TailRate | None:
    """Share of `inside` above the threshold that leaves `tail` of the distribution of `outside` above it.

    That threshold is not known. Order statistics of `outside` enclose it whatever the distribution, Clopper–Pearson
    bounds the share of `inside` above either end, and each takes half of what `confidence` leaves: so each bound misses
    at most that often, the uncertain threshold included. Scores above it are strictly above: of equal ones none counts
    in the value and the lower bound, all in the upper. None with fewer than 10/tail rows of `outside`, or none of
    `inside`.
    """
    import numpy as np
    from scipy.stats import binom

    a, b = np.sort(np.asarray(inside, np.float64)), np.sort(np.asarray(outside, np.float64))[::-1]
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("scores of NaN have no order; replace them by -inf first")
    if not len(a) or len(b) * tail < 10 * (1 - 1e-9):
        return None
    half = bonferroni(confidence, 2)
    counts = np.arange(len(b) + 1)
    # b[k - 1] is at or above the threshold where k or more of `outside` exceed it, at or below where fewer than k do.
    above = int(counts[binom.sf(counts - 1, len(b), tail) >= half][-1])
    below = int(counts[1:][binom.cdf(counts[1:] - 1, len(b), tail) >= half][0])

    def over(number: int, side: str) -> int:
        import numpy as np

        return len(a) - int(np.searchsorted(a, b[number - 1], "right" if side == "above" else "left"))

    low = clopper_pearson(over(above, "above"), len(a), confidence=half).low if above else 0.0
    high = clopper_pearson(over(below, "from"), len(a), confidence=half).high
    return TailRate(over(int(len(b) * tail) + 1, "above") / len(a), Interval(low, high))
