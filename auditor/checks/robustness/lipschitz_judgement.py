"""From bounds and slopes to a finding: what is proved of the Lipschitz constant, and how much of it was reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.checks.common.conclude import conclude
from auditor.checks.robustness.certified import norm_text
from auditor.records import AnyEvidence, Axis, Column, Dumbbell, EvidenceKind, Judgement, Table
from auditor.statistics import Interval

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from auditor.checks.robustness.lipschitz import LipschitzConstant

PAIRS = 15
"""Margins drawn, those of the largest bounds."""

RESAMPLES = 2000


def lipschitz_judgement(
    check: LipschitzConstant,
    *,
    upper: np.ndarray,
    lower: np.ndarray,
    near: np.ndarray | None,
    index: np.ndarray,
    classes: tuple[str, ...],
    assumed: tuple[str, ...] = (),
) -> Judgement:
    """`upper`, `lower` [classes, classes]: proved and reached, margin by margin. `near`: the slope found at each row.

    Only `global_upper` is a theorem, and it speaks of every input. The slopes found are values of concrete pairs, so
    they bound the true constants from below: they can refute `at_most`, and only the proof can grant it.
    """
    import numpy as np
    import pyarrow as pa

    proved, reached = float(upper.max()), float(lower.max())
    mean = None if near is None or not len(near) else float(near.mean())
    metrics: dict[str, Any] = {
        "global_upper": proved,
        "global_lower": reached,
        "local_lower_mean": mean,
        "tightness": reached / proved if 0 < proved < np.inf else None,
    }
    metric = check.threshold.metric
    value, interval = metrics[metric], _interval(check, metrics, near)
    evidence: list[AnyEvidence] = []
    tables = {"points": pa.table({"index": pa.array(index, pa.int64()), "local_lower": _column(near, len(index))})}
    picture, tables["margins"] = _margins(check, upper, lower, classes)
    summary, tables["bounds"] = _bounds(check, metrics)
    evidence += [picture, summary]
    judgement = conclude(
        check,
        kind=EvidenceKind.CERTIFIED if metric == "global_upper" else EvidenceKind.ATTACKED,
        value=value,
        interval=interval,
        n=len(index),
        metrics=metrics,
        summary=_summary(check, metrics, len(index)),
        evidence=tuple(evidence),
        tables=tables,
        rests_on=(
            "The upper bound is recomputed from the weights alone in float64, each layer's proved.",
            "Every slope is that of two concrete inputs, less the float64 error of evaluating them.",
        ),
        assumed=assumed,
        limits=_limits(check),
        threat_model=None if metric == "global_upper" else _search(check),
        opens_when=_opens(check, metrics, interval),
    )
    if metric == "local_lower_mean":
        return judgement
    # What is said of all inputs rests on no sample.
    return Judgement(judgement.finding.model_copy(update={"confidence": None}), judgement.tables, judgement.images)


def _interval(check: LipschitzConstant, metrics: dict[str, Any], near: np.ndarray | None) -> Interval | None:
    """Where the quantity that the metric estimates provably lies; for a mean over rows its low end at `confidence`."""
    match check.threshold.metric:
        case "global_upper" | "global_lower":
            return Interval(metrics["global_lower"], metrics["global_upper"])
        case "tightness":
            return None if metrics["tightness"] is None else Interval(metrics["tightness"], 1.0)
    if near is None or not len(near):
        return None
    low = float(near.mean()) if check.claim == "sample" else _mean_lower(near, check.confidence, check.seed)
    return Interval(low, metrics["global_upper"])


def _mean_lower(values: np.ndarray, confidence: float, seed: int) -> float:
    """A lower bound on the mean of the distribution that `values` come from, by the bootstrap."""
    from auditor.statistics import bca_interval, resampled

    mean = float(values.mean())
    replicates = resampled(
        lambda weights: weights @ values / len(values), [len(values)], resamples=RESAMPLES, seed=seed
    )
    return bca_interval(replicates, mean, values - mean, low=confidence, high=confidence).low


def _column(near: np.ndarray | None, rows: int) -> pa.Array:
    import pyarrow as pa

    return pa.nulls(rows, pa.float64()) if near is None else pa.array(near, pa.float64())


def _margins(
    check: LipschitzConstant, upper: np.ndarray, lower: np.ndarray, classes: tuple[str, ...]
) -> tuple[Dumbbell, pa.Table]:
    """Each margin's slope found and its bound, both ways round being one."""
    import numpy as np
    import pyarrow as pa

    first, second = np.triu_indices(len(classes), 1)
    most = np.argsort(-upper[first, second], kind="stable")[:PAIRS]
    first, second = first[most], second[most]
    names = [f"{classes[j]} over {classes[i]}" for j, i in zip(first, second, strict=True)]
    high, low = upper[first, second], np.maximum(lower[first, second], lower[second, first])
    what = "margins" if len(classes) * (len(classes) - 1) // 2 <= PAIRS else f"{PAIRS} margins of largest bound"
    said = "; ".join(f"{name} {a:.3g} to {b:.3g}" for name, a, b in zip(names, low, high, strict=True))
    return (
        Dumbbell(
            id="margins",
            caption=f"The true constant of each margin lies between {low.min():.3g} and {high.max():.3g}.",
            detail=f"From the steepest pair of inputs found to the proved bound, for the {what}.",
            alt=f"Lower and upper bound on the Lipschitz constant of each margin: {said}.",
            x=Axis(label=f"change per unit of {norm_text(check.norm)} norm", low=0.0),
            label="margin",
            start="lower",
            end="upper",
            start_name="found",
            end_name="proved",
        ),
        pa.table({"margin": names, "lower": low, "upper": high}),
    )


def _bounds(check: LipschitzConstant, metrics: dict[str, Any]) -> tuple[Table, pa.Table]:
    """Table 6.9's row for this model."""
    import pyarrow as pa

    where = "" if check.radius is None else f", within {check.radius:g}"
    return (
        Table(
            id="bounds",
            caption="What is proved and what was reached.",
            detail="As table 6.9 of the thesis; the local value is a mean over the rows.",
            alt="Table of global upper, global lower and mean local lower bound, and their ratio.",
            columns=(
                Column(name="norm", label="Norm"),
                Column(name="global_upper", label="Proved", format=".4g"),
                Column(name="global_lower", label="Found anywhere", format=".4g"),
                Column(name="local_lower_mean", label=f"Found near a row{where}", format=".4g"),
                Column(name="tightness", label="Found over proved", format=".3f"),
            ),
        ),
        pa.table(
            {"norm": [norm_text(check.norm)]}
            | {name: pa.array([value], pa.float64()) for name, value in metrics.items()}
        ),
    )


def _summary(check: LipschitzConstant, metrics: dict[str, Any], rows: int) -> str:
    unit = f"per unit of {norm_text(check.norm)} norm"
    first = f"No margin changes by more than {metrics['global_upper']:.4g} {unit}, whatever the input. "
    tightness = "" if metrics["tightness"] is None else f", {metrics['tightness']:.3f} of that"
    second = f"Two inputs were found between which one changes by {metrics['global_lower']:.4g}{tightness}"
    if metrics["local_lower_mean"] is not None:
        second += f"; near a row it is {metrics['local_lower_mean']:.4g} on average over {rows:,} rows"
    return f"{first}{second}."


def _search(check: LipschitzConstant) -> str:
    return f"white box; ascent of the slope between two inputs, {check.steps} steps and {check.restarts} restarts"


def _limits(check: LipschitzConstant) -> tuple[str, ...]:
    limits = [
        "A slope found is a lower bound: a longer search may find a steeper one, never one above the proved bound.",
        "A small constant does not make a prediction right, nor its margin wide.",
    ]
    if check.radius is None:
        limits.append("Nothing about the neighbourhood of single rows: no radius is stated.")
    return tuple(limits)


def _opens(check: LipschitzConstant, metrics: dict[str, Any], interval: Interval | None) -> str | None:
    threshold = check.threshold
    if interval is None:
        return "the check has rows to decide on"
    if threshold.at_most is not None and interval.high > threshold.at_most:
        if interval.low > threshold.at_most:
            return f"the model's steepest margin falls from {interval.low:.4g} to {threshold.at_most:g}"
        return f"the proof, which reaches only down to {interval.high:.4g}, reaches {threshold.at_most:g}"
    if threshold.at_least is not None and interval.low < threshold.at_least:
        return f"a slope is found that raises {threshold.metric} from {interval.low:.4g} to {threshold.at_least:g}"
    return None
