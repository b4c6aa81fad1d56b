"""What a number of rows can decide, before anything is measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from auditor.statistics.intervals import clopper_pearson
from auditor.statistics.multiplicity import bonferroni

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


def successes_to_pass(trials: int, at_least: float, *, confidence: float) -> int | None:
    """The smallest number of successes of `trials` whose exact lower bound reaches `at_least`; None if none does."""
    return _first(trials, lambda k: clopper_pearson(k, trials, confidence=confidence).low >= at_least)


def successes_allowed(trials: int, at_most: float, *, confidence: float) -> int | None:
    """The largest number of successes of `trials` whose exact upper bound stays within `at_most`; None if none does."""
    above = _first(trials, lambda k: clopper_pearson(k, trials, confidence=confidence).high > at_most)
    return trials if above is None else above - 1 if above > 0 else None


def _first(last: int, holds) -> int | None:
    """The smallest k in 0..last for which the monotone `holds` does; None if it never does."""
    if not holds(last):
        return None
    left, right = 0, last
    while left < right:
        middle = (left + right) // 2
        left, right = (left, middle) if holds(middle) else (middle + 1, right)
    return right


def trials_needed(*, at_least: float | None = None, at_most: float | None = None, confidence: float) -> int | None:
    """The fewest trials at which a flawless count (all successes, or none) passes; None if no number does."""
    if at_least is not None:
        if at_least <= 0:
            return 0
        return None if at_least >= 1 else math.ceil(math.log(1 - confidence) / math.log(at_least) - 1e-9)
    assert at_most is not None
    if at_most >= 1:
        return 0
    return None if at_most <= 0 else math.ceil(math.log(1 - confidence) / math.log(1 - at_most) - 1e-9)


def trials_to_decide(rate: float, threshold: float, *, confidence: float) -> int | None:
    """Roughly how many trials put the interval of an observed `rate` on one side of `threshold`; None if equal."""
    from scipy.stats import norm

    gap = abs(rate - threshold)
    if gap == 0:
        return None
    spread = max(rate * (1 - rate), threshold * (1 - threshold))
    return math.ceil(spread * (norm.ppf(confidence) / gap) ** 2)


class Reach(NamedTuple):
    """True differences of two rates that so many points a side can decide, each with probability `power` or more.

    A check passes a model whose every attack has at most `passes`, None if even 0 is too much; it fails one with an
    attack of at least `fails`, None if even 1 is too little.
    """

    passes: float | None
    fails: float | None


def difference_sd(true: ArrayLike, points: int) -> NDArray[np.float64]:
    """Largest standard deviation of TPR - FPR measured on `points` a side, where their true difference is `true`."""
    import numpy as np

    return np.sqrt(np.maximum(1 - np.asarray(true, np.float64) ** 2, 0.0) / (2 * points))


def chance_of_pass(true: ArrayLike, points: int, at_most: float, *, confidence: float) -> NDArray[np.float64]:
    """Probability that the upper bound of one difference stays within `at_most` (normal approximation)."""
    import numpy as np
    from scipy.stats import norm

    limit = at_most - norm.ppf(confidence) * difference_sd(at_most, points)
    return norm.cdf((limit - np.asarray(true)) / np.maximum(difference_sd(true, points), 1e-12))


def chance_of_fail(
    true: ArrayLike, points: int, at_most: float, *, confidence: float, attacks: int = 1
) -> NDArray[np.float64]:
    """Probability that the corrected lower bound of one difference exceeds `at_most` (normal approximation)."""
    import numpy as np
    from scipy.stats import norm

    limit = at_most + norm.ppf(bonferroni(confidence, attacks)) * difference_sd(at_most, points)
    return norm.sf((limit - np.asarray(true)) / np.maximum(difference_sd(true, points), 1e-12))


def reach(points: int, at_most: float, *, confidence: float, attacks: int = 1, power: float = 0.80) -> Reach:
    """What `points` a side can decide about `attacks` differences against `at_most`, whatever their dependence.

    A pass needs every attack's bound, so each must succeed with 1 - (1 - power)/attacks; a fail needs only one.
    """
    import numpy as np

    true = np.linspace(0.0, 1.0, 10_001)
    passing = chance_of_pass(true, points, at_most, confidence=confidence) >= bonferroni(power, attacks)
    failing = chance_of_fail(true, points, at_most, confidence=confidence, attacks=attacks) >= power
    return Reach(
        float(true[passing][-1]) if passing.any() else None, float(true[failing][0]) if failing.any() else None
    )


def points_needed(
    at_most: float, *, confidence: float, attacks: int = 1, power: float = 0.80, true: float = 0.0
) -> int:
    """Points a side with which `attacks` attacks of true difference `true` pass `at_most` with probability `power`.

    Uses the largest standard deviation, that of rates around one half: 1,237 points for a budget of 0.05 and one
    attack at 95 % and 80 %, 2,306 for five. Raises ValueError where `true` is not below `at_most`.
    """
    from scipy.stats import norm

    if true >= at_most:
        raise ValueError(f"a true difference of {true} never passes a budget of {at_most}")
    z = norm.ppf(confidence) + norm.ppf(bonferroni(power, attacks))
    return math.ceil(0.5 * (z / (at_most - true)) ** 2)
