"""From predictions to the finding about accuracy: its exact interval, and what it does not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.checks.common.conclude import conclude
from auditor.checks.common.predictions import UNCLASSIFIED, points_table
from auditor.checks.quality.pictures import class_bars, confusion_map
from auditor.records import EvidenceKind, Judgement
from auditor.statistics import Interval, clopper_pearson, successes_allowed, successes_to_pass

if TYPE_CHECKING:
    import numpy as np

    from auditor.checks.quality.accuracy import Accuracy


def accuracy_judgement(
    check: Accuracy, *, label: np.ndarray, predicted: np.ndarray, index: np.ndarray, classes: tuple[str, ...]
) -> Judgement:
    """All arrays speak of the selected rows, in order. An unclassified row counts as wrong."""
    n, right = len(label), int((label == predicted).sum())
    value = right / n if n else None
    shares = {name: _share(label, predicted, number) for number, name in enumerate(classes)}
    points = points_table(index, label, predicted)
    evidence, tables = (), {"points": points}
    if n:
        bars, tables["classes"] = class_bars(label, predicted, classes, confidence=check.confidence)
        confusions, tables["confusions"] = confusion_map(label, predicted, classes)
        evidence = (bars, confusions)
    return conclude(
        check,
        kind=EvidenceKind.MEASURED,
        value=value,
        interval=_interval(check, right, n),
        n=n,
        metrics={"accuracy": value, "per_class_accuracy": shares},
        summary=_summary(shares, right, n, int((predicted == UNCLASSIFIED).sum())),
        evidence=evidence,
        tables=tables,
        rests_on=_rests_on(check),
        limits=(
            "Nothing about rows from another distribution, or about inputs changed on purpose.",
            "A label counts as the truth; where labels are wrong, so is this number.",
            "One share for all rows: a class with few rows may do far worse (see the accuracy of each class).",
        ),
        opens_when=_opens(check, right, n),
        power=_power(check, n),
    )


def _share(label: np.ndarray, predicted: np.ndarray, number: int) -> float | None:
    of_class = label == number
    return float((predicted[of_class] == number).mean()) if of_class.any() else None


def _interval(check: Accuracy, right: int, n: int) -> Interval | None:
    if not n:
        return None
    if check.claim == "sample":
        return Interval(right / n, right / n)
    return clopper_pearson(right, n, confidence=check.confidence)


def _summary(shares: dict[str, float | None], right: int, n: int, unclassified: int) -> str:
    if not n:
        return "No row satisfies the check's filter. Nothing was classified."
    known = {name: share for name, share in shares.items() if share is not None}
    lost = f"; {unclassified:,} of them have logits that are not numbers" if unclassified else ""
    first = f"{right:,} of {n:,} rows are given their label ({right / n:.4f}), {n - right:,} are not{lost}. "
    if not known:
        return first + "None of them carries one of the model's classes."
    worst = min(known, key=lambda name: known[name])
    return first + f"The least accurate class is {worst}, with {known[worst]:.4f} of its rows."


def _rests_on(check: Accuracy) -> tuple[str, ...]:
    given = "The class of a row is its largest logit in the float32 forward pass, the lowest index of equal ones."
    if check.claim == "sample":
        return (given, "The claim is about these rows alone, so the number has no sampling error.")
    return (
        given,
        "The rows are independent draws from the distribution claimed; the interval is Clopper and Pearson's.",
    )


def _opens(check: Accuracy, right: int, n: int) -> str | None:
    if not n:
        return "the check has rows to decide on"
    at_least, at_most = check.threshold.at_least, check.threshold.at_most
    sample = check.claim == "sample"
    if at_least is not None:
        wanted = (
            next((k for k in range(right, n + 1) if k / n >= at_least), None)
            if sample
            else successes_to_pass(n, at_least, confidence=check.confidence)
        )
        if wanted is not None and right >= wanted:
            return None
        if wanted is None:
            return f"more rows are given: no count of {n:,} can show {at_least:g}"
        return f"at least {wanted:,} of {n:,} rows are right; {right:,} are now"
    assert at_most is not None
    allowed = (
        next((k for k in range(right, -1, -1) if k / n <= at_most), None)
        if sample
        else successes_allowed(n, at_most, confidence=check.confidence)
    )
    if allowed is not None and right <= allowed:
        return None
    if allowed is None:
        return f"more rows are given: no count of {n:,} can show {at_most:g}"
    return f"at most {allowed:,} of {n:,} rows are right; {right:,} are now"


def _power(check: Accuracy, n: int) -> str | None:
    """What these rows could have shown at best."""
    if check.claim == "sample" or not n:
        return None
    best = clopper_pearson(n, n, confidence=check.confidence).low
    return f"{n:,} rows, all of them right, would put the lower bound at {best:.4f}."
