"""From each row's metric to a verdict: how many rows satisfy the predicate, and what that says about the rest."""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from auditor.checks.common.conclude import decide
from auditor.checks.influence.demand import Demand
from auditor.records import Status
from auditor.statistics import Interval, bootstrap_mean, clopper_pearson

if TYPE_CHECKING:
    import numpy as np

FEWEST_FOR_BOOTSTRAP = 20


class Tally(NamedTuple):
    """`value` and `interval` are the fraction of the `n` counted rows that satisfy the predicate (their mean metric
    where the demand is on the mean). `holds` has one entry a row; an undefined row never holds."""

    status: Status
    value: float | None
    interval: Interval | None
    n: int
    holding: int
    undefined: int
    holds: np.ndarray


def tally(
    values: np.ndarray, demand: Demand, *, confidence: float, claim: Literal["population", "sample"], seed: int
) -> Tally:
    """The verdict on `values` [rows], NaN where undefined.

    An undefined row counts against the claim unless `demand.undefined` is `exclude`, then it does not count at all.
    `for: all` is decided by the rows at hand, with the exact bound on the rate beside it.
    """
    import numpy as np

    defined = np.isfinite(values)
    holds = np.zeros(len(values), dtype=bool)
    if demand.at_least is not None:
        holds[defined] = values[defined] >= demand.at_least
    else:
        holds[defined] = values[defined] <= demand.at_most
    counted = defined if demand.undefined == "exclude" else np.ones_like(defined)
    n, holding, undefined = int(counted.sum()), int(holds.sum()), int((~defined).sum())
    if n == 0:
        return Tally(Status.INCONCLUSIVE, None, None, 0, 0, undefined, holds)
    if demand.quantifier == "mean":
        value, interval, status = _mean(values, counted, demand, confidence=confidence, claim=claim, seed=seed)
        return Tally(status, value, interval, n, holding, undefined, holds)
    value = holding / n
    rate = clopper_pearson(holding, n, confidence=confidence) if claim == "population" else Interval(value, value)
    if demand.quantifier == "all":
        status = Status.PASS if holding == n else Status.FAIL
    else:
        status = decide(rate, at_least=demand.for_at_least)
    return Tally(status, value, rate, n, holding, undefined, holds)


def holding_needed(
    rows: int, demand: Demand, *, confidence: float, claim: Literal["population", "sample"]
) -> int | None:
    """The fewest of `rows` that must satisfy the predicate for a pass; None if not even all of them would do."""
    if demand.quantifier == "all":
        return rows if rows else None
    assert demand.for_at_least is not None
    share = demand.for_at_least

    def enough(holding: int) -> bool:
        if claim == "sample":
            return holding >= share * rows
        return clopper_pearson(holding, rows, confidence=confidence).low >= share

    fewest = bisect.bisect_left(range(rows + 1), True, key=enough)
    return fewest if fewest <= rows else None


def rows_for_a_pass(demand: Demand, *, confidence: float, claim: Literal["population", "sample"]) -> int:
    """The fewest rows with which a pass is possible at all: ln α / ln q where all of them hold, α = 1 - confidence."""
    if claim == "sample" or demand.quantifier == "all":
        return 1
    if demand.quantifier == "mean":
        return FEWEST_FOR_BOOTSTRAP
    assert demand.for_at_least is not None
    return math.ceil(math.log(1 - confidence) / math.log(demand.for_at_least) - 1e-9)


def rows_that_would_decide(value: float, demand: Demand, *, confidence: float, limit: int = 1 << 24) -> int | None:
    """About how many rows would decide if the rate stayed at `value`; None if it lies too near the demand to tell."""
    assert demand.for_at_least is not None
    rows = 1
    while rows <= limit:
        rate = clopper_pearson(round(value * rows), rows, confidence=confidence)
        if decide(rate, at_least=demand.for_at_least) is not Status.INCONCLUSIVE:
            break
        rows *= 2
    if rows > limit:
        return None
    low, high = rows // 2, rows
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        rate = clopper_pearson(round(value * middle), middle, confidence=confidence)
        decided = decide(rate, at_least=demand.for_at_least) is not Status.INCONCLUSIVE
        low, high = (low, middle) if decided else (middle, high)
    return high


def _mean(
    values: np.ndarray,
    counted: np.ndarray,
    demand: Demand,
    *,
    confidence: float,
    claim: Literal["population", "sample"],
    seed: int,
) -> tuple[float, Interval | None, Status]:
    """Undefined rows that count are given the value that speaks most against the claim."""
    import numpy as np

    from auditor.checks.influence.demand import RANGES

    low, high = RANGES[demand.metric]
    worst = low if demand.at_least is not None else high if math.isfinite(high) else np.nanmax(values, initial=0.0)
    filled = np.where(np.isfinite(values), values, worst)[counted]
    value = float(filled.mean())
    if claim == "sample":
        interval = Interval(value, value)
    elif len(filled) < FEWEST_FOR_BOOTSTRAP:
        return value, None, Status.INCONCLUSIVE
    else:
        interval = bootstrap_mean(filled, confidence=confidence, seed=seed)
    return value, interval, decide(interval, at_least=demand.at_least, at_most=demand.at_most)
