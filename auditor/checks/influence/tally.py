"""From each row's metric to a verdict: how many rows satisfy the predicate, and what that says about the rest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from auditor.checks.common.conclude import decide
from auditor.checks.influence.demand import RANGES, Demand
from auditor.records import Status

if TYPE_CHECKING:
    import numpy as np

    from auditor.statistics import Interval

FEWEST_FOR_BOOTSTRAP = 20
RESAMPLES = 9999


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

    from auditor.statistics import Interval, clopper_pearson

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
    from auditor.statistics import successes_to_pass

    if demand.quantifier == "all":
        return rows if rows else None
    assert demand.for_at_least is not None
    if claim == "sample":
        return math.ceil(demand.for_at_least * rows)
    return successes_to_pass(rows, demand.for_at_least, confidence=confidence)


def rows_for_a_pass(demand: Demand, *, confidence: float, claim: Literal["population", "sample"]) -> int:
    """The fewest rows with which a pass is possible at all: ln α / ln q where all of them hold, α = 1 - confidence."""
    from auditor.statistics import trials_needed

    if claim == "sample" or demand.quantifier == "all":
        return 1
    if demand.quantifier == "mean":
        return FEWEST_FOR_BOOTSTRAP
    assert demand.for_at_least is not None
    needed = trials_needed(at_least=demand.for_at_least, confidence=confidence)
    assert needed is not None
    return needed


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

    from auditor.statistics import Interval

    low, high = RANGES[demand.metric]
    worst = low if demand.at_least is not None else high if math.isfinite(high) else np.nanmax(values, initial=0.0)
    filled = np.where(np.isfinite(values), values, worst)[counted]
    value = float(filled.mean())
    if claim == "sample":
        interval = Interval(value, value)
    elif len(filled) < FEWEST_FOR_BOOTSTRAP:
        return value, None, Status.INCONCLUSIVE
    else:
        interval = _bootstrapped(filled, confidence=confidence, seed=seed)
    return value, interval, decide(interval, at_least=demand.at_least, at_most=demand.at_most)


def _bootstrapped(values: np.ndarray, *, confidence: float, seed: int) -> Interval:
    """Bias-corrected bootstrap bounds on the mean of the distribution that `values` come from."""

    from auditor.statistics import bca_interval, resampled

    def means(weights: np.ndarray) -> np.ndarray:
        return weights @ values / len(values)

    replicates = resampled(means, [len(values)], resamples=RESAMPLES, seed=seed)
    observed = float(values.mean())
    return bca_interval(replicates, observed, values - observed, low=confidence, high=confidence)
