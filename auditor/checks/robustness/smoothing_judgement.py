"""From votes under noise to a finding: probabilistic in each row, and in how many rows it may be mistaken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.checks.common.conclude import conclude
from auditor.checks.robustness.pictures.smoothed import smoothed_pictures
from auditor.records import EvidenceKind, Judgement
from auditor.statistics import Interval, clopper_pearson

if TYPE_CHECKING:
    import numpy as np

    from auditor.checks.robustness.certified import CertifiedRobustness
    from auditor.methods.robustness.smoothing import Smoothed
    from auditor.spec.method import Smoothing


def smoothed_judgement(
    check: CertifiedRobustness,
    *,
    method: Smoothing,
    sigma: float,
    smoothed: Smoothed,
    label: np.ndarray,
    index: np.ndarray,
    classes: tuple[str, ...],
) -> Judgement:
    """All arrays speak of the selected rows, in order. `metrics` are those of the smoothed classifier."""
    import numpy as np
    import pyarrow as pa

    n = len(index)
    predicted, radius = smoothed.predicted.numpy(), smoothed.radius.numpy()
    right, certified = predicted == label, radius >= check.epsilon
    proved = right & certified
    counts = {
        "vra": int(proved.sum()),
        "clean_accuracy": int(right.sum()),
        "rejection_rate": int((~certified).sum()),
    }
    wrong = int(((predicted >= 0) & ~right).sum())
    metrics: dict[str, Any] = {name: count / n if n else None for name, count in counts.items()}
    metrics |= dict.fromkeys(("accuracy_under_attack", "lipschitz_upper", "lipschitz_lower", "vra_ceiling"))
    metrics |= {"abstained": int((predicted < 0).sum()) / n if n else None, "sigma": sigma, "alpha": method.alpha}
    value, interval = _interval(check, method, counts, n, wrong)
    drawn = smoothed_pictures(check, label=label, right=right, radius=radius, classes=classes)
    points = pa.table(
        {
            "index": pa.array(index, pa.int64()),
            "label": pa.array(label, pa.int64()),
            "predicted": pa.array(predicted, pa.int64()),
            "certified": pa.array(certified, pa.bool_()),
            "radius": pa.array(radius, pa.float64()),
            "vra_radius": pa.array(np.where(right, radius, 0.0), pa.float64()),
            "k": pa.array(certified.astype(np.int64), pa.int64()),
            "robust_set": pa.array(
                [[int(c)] if held else [] for c, held in zip(predicted, certified, strict=True)], pa.list_(pa.int64())
            ),
            "probability": pa.array(smoothed.probability.numpy(), pa.float64()),
        }
    )
    return conclude(
        check,
        kind=EvidenceKind.PROBABILISTIC,
        value=value,
        interval=interval,
        n=n,
        metrics=metrics,
        summary=_summary(check, method, sigma, counts, n),
        evidence=drawn.evidence,
        tables={"points": points, **drawn.tables},
        images=drawn.images,
        rests_on=(
            f"Cohen, Rosenfeld and Kolter 2019, theorem 1, with an exact binomial bound on {method.samples:,} samples.",
            f"Each row's certificate is false with probability {method.alpha:g} at most, over its own noise; rows are "
            "sampled independently, and the interval allows for that many mistaken rows.",
        ),
        limits=(
            f"This speaks of the majority vote under noise of {sigma:g}, not of the model alone: what is deployed must "
            "be that vote.",
            f"At {method.alpha:g} a row, about {method.alpha * n:.2g} of {n:,} certificates may be false; none says "
            "which.",
            "Noise and votes are computed in floating point; the theorem speaks of real numbers.",
        ),
        threat_model=f"any perturbation of ℓ₂ norm up to {check.epsilon:g}",
        opens_when=_opens(check, interval),
    )


def _interval(
    check: CertifiedRobustness, method: Smoothing, counts: dict[str, int], n: int, wrong: int
) -> tuple[float | None, Interval | None]:
    """The metric's value and [L, U], with room for certificates that are false.

    Population: a row is certified right and not robust with probability alpha at most, so the true share is no less
    than the certified one less alpha. Sample: with `confidence`, no more rows are mistaken than the binomial quantile.
    """
    from auditor.methods.robustness.smoothing import most_mistaken

    metric = check.threshold.metric
    if not n:
        return None, None
    low = counts[metric]
    high = n - wrong if metric == "vra" else low
    if check.claim == "sample":
        room = most_mistaken(n, alpha=method.alpha, confidence=check.confidence) / n
        ends = (low / n, high / n)
    else:
        room = method.alpha
        ends = (
            clopper_pearson(low, n, confidence=check.confidence).low,
            clopper_pearson(high, n, confidence=check.confidence).high,
        )
    return low / n, Interval(max(0.0, ends[0] - room), min(1.0, ends[1] + room))


def _summary(check: CertifiedRobustness, method: Smoothing, sigma: float, counts: dict[str, int], n: int) -> str:
    if not n:
        return "No row satisfies the check's filter. Nothing was certified."
    return (
        f"For {counts['vra']:,} of {n:,} rows the vote of the model under noise of {sigma:g} is right and, with "
        f"probability {1 - method.alpha:g} a row, cannot change under any perturbation of ℓ₂ norm up to "
        f"{check.epsilon:g}. The vote is right on {counts['clean_accuracy']:,} rows without perturbation."
    )


def _opens(check: CertifiedRobustness, interval: Interval | None) -> str | None:
    threshold = check.threshold
    if interval is None:
        return "the check has rows to decide on"
    if threshold.at_least is not None and interval.low < threshold.at_least:
        return f"the lower bound of {threshold.metric} rises from {interval.low:.3f} to {threshold.at_least:g}"
    if threshold.at_most is not None and interval.high > threshold.at_most:
        return f"the upper bound of {threshold.metric} falls from {interval.high:.3f} to {threshold.at_most:g}"
    return None
