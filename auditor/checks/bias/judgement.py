"""From rates to the finding about bias amplification: the number, its interval, and how much of it the data force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.checks.bias.pictures import rates_dumbbell
from auditor.checks.bias.rates import Rates, asked, count_rates, largest
from auditor.checks.common.conclude import conclude
from auditor.checks.common.predictions import points_table
from auditor.methods.bias import unavoidable_amplification
from auditor.records import EvidenceKind, Judgement
from auditor.statistics import Interval

if TYPE_CHECKING:
    import numpy as np

    from auditor.checks.bias.amplification import BiasAmplification, Separation

ABSENT = ("prior", "predicted_rate", "unavoidable", "excess", "mahalanobis_within", "mahalanobis_total", "asymmetry")


def amplification_judgement(
    check: BiasAmplification,
    *,
    label: np.ndarray,
    predicted: np.ndarray,
    separation: Separation | None,
    index: np.ndarray,
    classes: tuple[str, ...],
) -> Judgement:
    """All arrays speak of the selected rows, in order."""
    n = len(label)
    confidence = None if check.claim == "sample" else check.confidence
    metrics: dict[str, Any] = {"bias_amplification": None, **dict.fromkeys(ABSENT)}
    value, interval, questions, evidence = None, None, (), ()
    tables = {"points": points_table(index, label, predicted)}
    if n:
        rates = count_rates(label, predicted, classes)
        questions = asked(rates)
        worst = max(questions, key=lambda one: abs(one.amplification))
        value = worst.amplification if len(classes) == 2 else abs(worst.amplification)
        interval = largest(questions, confidence)
        metrics |= _metrics(value, worst, rates, confidence) | _forced(worst, separation)
        drawn, tables["rates"] = rates_dumbbell(rates, confidence)
        evidence = (drawn,)
    return conclude(
        check,
        kind=EvidenceKind.MEASURED,
        value=value,
        interval=interval,
        n=n,
        metrics=metrics,
        summary=_summary(questions, metrics),
        evidence=evidence,
        tables=tables,
        rests_on=_rests_on(questions, confidence),
        limits=_limits(questions, separation, binary=len(classes) == 2),
        opens_when=_opens(check, questions, interval, confidence),
        power=_power(n, confidence),
    )


def _metrics(value: float, worst: Rates, rates: tuple[Rates, ...], confidence: float | None) -> dict[str, Any]:
    return {
        "bias_amplification": value,
        "bias_amplification_interval": list(worst.interval(confidence)),
        "class": worst.name,
        "prior": worst.prior,
        "predicted_rate": worst.predicted_rate,
        "per_class_bias_amplification": {one.name: one.amplification for one in rates},
    }


def _forced(worst: Rates, separation: Separation | None) -> dict[str, float | None]:
    """Theorem 9.1 where it applies; the distances, labelled, wherever they exist."""
    if separation is None:
        return {}
    forced = unavoidable_amplification(worst.prior, separation.within) if separation.fits else None
    return {
        "mahalanobis_within": separation.within,
        "mahalanobis_total": separation.total,
        "unavoidable": forced,
        "excess": None if forced is None else worst.amplification - forced,
    }


def _summary(questions: tuple[Rates, ...], metrics: dict[str, Any]) -> str:
    if not questions:
        return "No row satisfies the check's filter. No rate was measured."
    worst = max(questions, key=lambda one: abs(one.amplification))
    given = worst.labelled + worst.gained - worst.lost
    first = (
        f"{worst.name} is predicted on {given:,} and is the label of {worst.labelled:,} of {worst.rows:,} rows, "
        f"a bias amplification of {worst.amplification:+.4f}. "
    )
    forced = metrics["unavoidable"]
    if forced is not None:
        return (
            first
            + f"The best possible classifier of such classes has {forced:+.4f}; {metrics['excess']:+.4f} is excess."
        )
    return first + f"{worst.gained:,} rows are predicted {worst.name} with another label, {worst.lost:,} the other way."


def _rests_on(questions: tuple[Rates, ...], confidence: float | None) -> tuple[str, ...]:
    given = "The class of a row is its largest logit in the float32 forward pass, the lowest index of equal ones."
    if confidence is None:
        return (given, "The claim is about these rows alone, so the numbers have no sampling error.")
    many = f", corrected for {len(questions)} classes below" if len(questions) > 1 else ""
    return (
        given,
        "The rows are independent draws from the distribution claimed, each with its label and its prediction.",
        f"Score bounds for the difference of paired rates (Tango 1998){many}; they are close, not exact.",
    )


def _limits(questions: tuple[Rates, ...], separation: Separation | None, *, binary: bool) -> tuple[str, ...]:
    limits = [
        "Rates alone: a model can predict every class as often as it occurs and be wrong on every row.",
        "The labels' rates are taken as they are; whether they are fair is not asked.",
        "Asymmetry of features is not measured (null): no orientation of features was stated.",
    ]
    unknown = sum((one.unknown_here + one.unknown_elsewhere) for one in questions[:1])
    if unknown:
        limits.append(f"{unknown:,} rows have logits that are not numbers; the interval allows them any class.")
    if not binary:
        limits.append("Theorem 9.1 speaks of two classes, so what is unavoidable is not known (null).")
    elif separation is None:
        limits.append("What is unavoidable is not known (null): the inputs are no small table of both classes.")
    elif not separation.fits:
        limits.append(f"What is unavoidable is not known (null), as theorem 9.1 does not apply: {separation.reason}.")
    else:
        limits.append(f"What is unavoidable supposes normal classes; {separation.reason}, which is no proof.")
    return tuple(limits)


def _opens(
    check: BiasAmplification, questions: tuple[Rates, ...], interval: Interval | None, confidence: float | None
) -> str | None:
    if interval is None:
        return "the check has rows to decide on"
    at_least, at_most = check.threshold.at_least, check.threshold.at_most
    if at_least is not None:
        if interval.low >= at_least:
            return None
        return f"the lower bound of the largest |B| rises from {interval.low:.4f} to {at_least:g}"
    assert at_most is not None
    if interval.high <= at_most:
        return None
    worst = max(questions, key=lambda one: one.size(confidence, questions=1).high)
    surplus, allowed = abs(worst.gained - worst.lost), _surplus_allowed(worst, at_most, confidence)
    bound = f"the upper bound of |B| is {interval.high:.4f}, allowed at most {at_most:g}"
    if allowed is None:
        return f"predictions of {worst.name} differ from its labels on fewer rows, or more rows are given: {bound}"
    return (
        f"{worst.name} is predicted at most {allowed:,} rows more or less often than it occurs, with "
        f"{worst.gained + worst.lost:,} disagreements among {worst.rows:,} rows; it is {surplus:,} now, and {bound}"
    )


def _surplus_allowed(worst: Rates, at_most: float, confidence: float | None) -> int | None:
    """The largest |gained - lost| that passes at as many disagreements; None if not even balanced ones do."""
    total = worst.gained + worst.lost
    for surplus in range(min(abs(worst.gained - worst.lost), total), -1, -2):
        gained = (total + surplus) // 2
        other = Rates(worst.name, worst.rows, worst.labelled, gained, total - gained)
        if other.size(confidence, questions=1).high <= at_most:
            return surplus
    return None


def _power(n: int, confidence: float | None) -> str | None:
    """What these rows could have shown at best."""
    if not n or confidence is None:
        return None
    best = Rates("", n, 0, 0, 0).size(confidence, questions=1).high
    return f"{n:,} rows without one disagreement would put the upper bound at {best:.4f}."
