"""A criterion, and what was found of it, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.checks.influence.demand import Demand, region_text
from auditor.checks.influence.tally import Tally, holding_needed, rows_for_a_pass
from auditor.records import Status
from auditor.spec.rows import Where

if TYPE_CHECKING:
    from auditor.checks.influence.criterion import ExplanationCriterion


def claim(check: ExplanationCriterion) -> str:
    """The criterion as one sentence."""
    demand = check.demand
    rows = rows_text(check)
    whom = {
        "all": f"For every one of {rows}",
        "at_least": f"For at least {percent(demand.for_at_least)} of {rows}",
        "mean": f"On average over {rows}",
    }[demand.quantifier]
    return f"{whom}, {predicate(check)} ({check.points()})."


def predicate(check: ExplanationCriterion) -> str:
    """What each row must satisfy."""
    demand, asked = check.demand, check.asked()
    limit = bound(demand)
    match demand.metric:
        case "mass":
            return f"{limit} of the {sized(check, asked)} lies in {_region(demand)}"
        case "mass_lift":
            return (
                f"the {sized(check, asked)} in {_region(demand)} is {limit} times what an even spread would put there"
            )
        case "share":
            return f"{limit} of the {sized(check, asked)} belongs to {_region(demand)}"
        case "top_k_overlap":
            return f"{limit} of the {demand.k} units with the largest {asked} are those of other rows with its label"
        case metric:
            return f"the {metric.replace('_', ' ')} of the {asked} is {limit}"


def measured(check: ExplanationCriterion) -> str:
    """What the metric measures, as an axis label."""
    demand = check.demand
    size = sized(check, check.unit)
    match demand.metric:
        case "mass":
            return f"share of {size} in {_region(demand)}"
        case "mass_lift":
            return f"{size} in {_region(demand)}, relative to an even spread"
        case "share":
            return f"share of {size} that belongs to {_region(demand)}"
        case "top_k_overlap":
            return f"overlap of the top {demand.k} units within the label"
        case metric:
            return metric.replace("_", " ")


def sized(check: ExplanationCriterion, what: str) -> str:
    """The magnitude in words: |attribution|, positive influence."""
    first, _, rest = what.partition(" ")
    return f"positive {what}" if check.demand.magnitude == "positive" else f"|{first}| {rest}".strip()


def summary(check: ExplanationCriterion, found: Tally, *, median: float | None, vacuous: bool) -> str:
    """Two sentences with their numbers; a third where random weights would have passed too."""
    demand = check.demand
    if found.n == 0 or median is None or found.value is None:
        empty = (
            "No row was selected" if len(found.holds) == 0 else f"None of {len(found.holds)} rows has a defined value"
        )
        return f"{empty}. There is nothing to judge the criterion by."
    at = f" [{found.interval.low:.3f}, {found.interval.high:.3f}]" if found.interval else ""
    if demand.quantifier == "mean":
        first = f"The mean over {found.n} rows is {found.value:.3f}{at}, where {bound(demand)} is required."
    else:
        needed = "all are" if demand.quantifier == "all" else f"{demand.for_at_least:g} is"
        first = f"{found.holding} of {found.n} rows satisfy it, {found.value:.3f}{at}, where {needed} required."
    one = found.undefined == 1
    if demand.undefined == "exclude":
        fate = "is left out" if one else "are left out"
    else:
        fate = "counts against the claim" if one else "count against the claim"
    undefined = (
        f"{found.undefined} {'row has' if one else 'rows have'} no {check.unit} to share out and {fate}"
        if found.undefined
        else "no row is undefined"
    )
    second = f"The median {measured(check)} is {median:.3f}; {undefined}."
    third = " The criterion is vacuous: the same network with random weights passes it too." if vacuous else ""
    return f"{first} {second}{third}"


def opens_when(check: ExplanationCriterion, found: Tally) -> str | None:
    """What would make it pass; None where it does."""
    from auditor.statistics import trials_to_decide

    if found.status is Status.PASS:
        return None
    demand = check.demand
    fewest = rows_for_a_pass(demand, confidence=check.confidence, claim=check.claim)
    if found.n < fewest:
        return f"{fewest} rows or more are given: with {found.n}, no outcome could pass"
    if demand.quantifier == "mean":
        return f"the whole interval of the mean lies {bound(demand)}"
    needed = holding_needed(found.n, demand, confidence=check.confidence, claim=check.claim)
    text = f"{needed} of the {found.n} rows satisfy it; {found.holding} do now"
    if found.status is Status.INCONCLUSIVE and found.value is not None:
        assert demand.for_at_least is not None
        decisive = trials_to_decide(found.value, demand.for_at_least, confidence=check.confidence)
        if decisive is not None:
            text += f". At the observed rate, about {decisive:,} rows would decide"
    return text


def power(check: ExplanationCriterion, found: Tally) -> str | None:
    """What the rows could have decided."""
    if check.demand.quantifier != "at_least" or found.n == 0:
        return None
    needed = holding_needed(found.n, check.demand, confidence=check.confidence, claim=check.claim)
    if needed is None:
        return f"With {found.n} rows no outcome could pass."
    return f"With {found.n} rows the claim passes when {needed} or more of them satisfy it."


def limits(check: ExplanationCriterion, *, vacuous: bool) -> tuple[str, ...]:
    """What the finding does not show."""
    demand = check.demand
    shown = []
    if vacuous:
        shown.append("That training brought this about: the same network with random weights passes too.")
    if demand.region is not None and demand.at_most is not None:
        shown.append(f"That the model uses the rest well: a pass says only that {_region(demand)} weighs little.")
    if demand.region is not None and demand.at_least is not None:
        shown.append(f"How the model uses {_region(demand)}: influence says where, not for which reason.")
    quantity = check.quantity
    if quantity.against not in (None, "rest", "label", "predicted"):
        shown.append(f"Anything about {quantity.class_} seen against classes other than {quantity.against}.")
    if check.where is not None:
        shown.append(f"Anything about rows other than {rows_text(check)}.")
    if demand.metric in ("mass", "mass_lift", "share"):
        shown.append("That removing the region would change the label: influence is not occlusion.")
    return tuple(shown)


def rows_text(check: ExplanationCriterion) -> str:
    """Which rows: source, slice and filter."""
    over = "the rows" if check.over is None else f"the rows of {check.over}"
    return over + where_text(check.where)


def where_text(where: Where | None) -> str:
    """The filter in words, with a leading space; empty without one."""
    if where is None:
        return ""

    def names(value: str | tuple[str, ...]) -> str:
        return value if isinstance(value, str) else " or ".join(value)

    parts = []
    if where.label is not None:
        parts.append(f"labelled {names(where.label)}")
    if where.prediction is not None:
        parts.append(f"predicted {names(where.prediction)}")
    if where.correct is not None:
        parts.append("classified correctly" if where.correct else "misclassified")
    parts += [f"with {name} {value}" for name, value in where.attributes.items()]
    return "".join(f" {part}" for part in parts)


def bound(demand: Demand) -> str:
    """The predicate's side and number: at most 0.3."""
    return f"at least {demand.at_least:g}" if demand.at_least is not None else f"at most {demand.at_most:g}"


def percent(share: float | None) -> str:
    return f"{100 * (share or 0):g} %"


def _region(demand: Demand) -> str:
    assert demand.region is not None
    return region_text(demand.region)
