"""From certificates and attacks to findings: the numbers, their intervals, the pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from auditor.checks.common.conclude import conclude
from auditor.checks.robustness import pictures, wording
from auditor.records import EvidenceKind, Judgement
from auditor.records.certificate import Claim, Proved
from auditor.spec.method import Crown
from auditor.statistics import Interval, clopper_pearson
from auditor.tagged import written
from auditor.terms import Affinity, Standard, TopK

if TYPE_CHECKING:
    import numpy as np

    from auditor.checks.robustness.attacked import AttackedRobustness
    from auditor.checks.robustness.certified import CertifiedRobustness
    from auditor.checks.robustness.certifying import CertifiedRows, Narrowest
    from auditor.checks.robustness.separating import Conflicts
    from auditor.methods.robustness import Bounds
    from auditor.records.certificate import NetworkProof
    from auditor.spec.check import Check


class Outcome(NamedTuple):
    """Per selected row, numpy: what is proved and what is refuted at each radius.

    `vra_radius`: the label's guarantee is proved up to here. `broken_at`: it is known to fail from here on; 0 if wrong
    already. `radii` [rows, sizes]: the certified radius of each set of highest classes, 0 where the guarantee does not
    admit it; `holds` [rows, sizes]: whether it is admitted and holds the label; `linear` [rows, sizes]: whether its
    radius is due to linear bounds. `exhausted`: stayed undecided when its time for them ran out.
    """

    label: np.ndarray
    predicted: np.ndarray
    correct: np.ndarray
    certified: np.ndarray
    radius: np.ndarray
    vra_radius: np.ndarray
    broken_at: np.ndarray
    k: np.ndarray
    robust_set: np.ndarray
    radii: np.ndarray
    holds: np.ndarray
    linear: np.ndarray
    exhausted: np.ndarray

    def proved(self, epsilon: float) -> np.ndarray:
        return (self.vra_radius >= epsilon) & (self.vra_radius > 0)

    def proved_by(self, epsilon: float, size: int) -> np.ndarray:
        """As `proved`, were sets of more than `size` classes not admitted."""
        radii = self.radii[:, :size]
        return (self.holds[:, :size] & (radii >= epsilon) & (radii > 0)).max(axis=1)

    def certified_linearly(self, epsilon: float) -> np.ndarray:
        """Rows of which no set would be certified at `epsilon` without linear bounds, and one is."""
        reached = (self.radii >= epsilon) & (self.radii > 0)
        return reached.max(axis=1) & ~(reached & ~self.linear).max(axis=1)

    def proved_globally(self, epsilon: float) -> np.ndarray:
        """The rows among `proved` that would be without linear bounds too."""
        return (self.holds & ~self.linear & (self.radii >= epsilon) & (self.radii > 0)).max(axis=1)

    def proved_linearly(self, epsilon: float) -> np.ndarray:
        """The others among `proved`."""
        return self.proved(epsilon) & ~self.proved_globally(epsilon)

    def standing(self, epsilon: float) -> np.ndarray:
        return self.broken_at > epsilon


def certified_judgement(
    check: CertifiedRobustness,
    *,
    guarantee: Standard | TopK | Affinity,
    certified: CertifiedRows,
    broken_at: np.ndarray,
    bounds: Bounds,
    proof: tuple[NetworkProof, dict[str, np.ndarray]],
    lipschitz_lower: float,
    narrowest: Narrowest,
    conflicts: Conflicts,
    index: np.ndarray,
    classes: tuple[str, ...],
    input_range: tuple[float, float] | None,
) -> Judgement:
    """All arrays speak of the selected rows, in order."""
    import pyarrow as pa

    outcome = _outcome(certified, broken_at)
    n = len(index)
    proved, standing = outcome.proved(check.epsilon), outcome.standing(check.epsilon)
    counts = {
        "vra": int(proved.sum()),
        "clean_accuracy": int(outcome.correct.sum()),
        "rejection_rate": int((~outcome.certified).sum()),
        "accuracy_under_attack": int(standing.sum()),
    }
    if isinstance(check.method, Crown):
        counts |= _linear_counts(outcome, check.epsilon)
    upper = float(bounds.margins.max())
    metrics: dict[str, Any] = {name: count / n if n else None for name, count in counts.items()}
    metrics |= {"lipschitz_upper": upper, "lipschitz_lower": lipschitz_lower}
    metrics["vra_ceiling"] = conflicts.ceiling(check.epsilon, n)
    value, interval = _interval(check, counts, n, (lipschitz_lower, upper))
    metric = check.threshold.metric
    drawn = pictures.certified_pictures(
        check, outcome, bounds=bounds, narrowest=narrowest, conflicts=conflicts, index=index, classes=classes,
        input_range=input_range, sets=guarantee.sets if isinstance(guarantee, Affinity) else (),
    )  # fmt: skip
    sets = [[int(j) for j in row.nonzero()[0]] for row in outcome.robust_set]
    points = pa.table(
        {
            "index": pa.array(index, pa.int64()),
            "label": pa.array(outcome.label, pa.int64()),
            "predicted": pa.array(outcome.predicted, pa.int64()),
            "certified": pa.array(outcome.certified, pa.bool_()),
            "radius": pa.array(outcome.radius, pa.float64()),
            "vra_radius": pa.array(outcome.vra_radius, pa.float64()),
            "k": pa.array(outcome.k, pa.int64()),
            "robust_set": pa.array(sets, pa.list_(pa.int64())),
        }
    )
    if isinstance(check.method, Crown):
        points = points.append_column("locally", pa.array(outcome.certified_linearly(check.epsilon), pa.bool_()))
    proofs = metric in ("vra", "lipschitz_upper")
    judgement = conclude(
        check,
        kind=EvidenceKind.CERTIFIED if proofs else _kind(metric),
        value=value,
        interval=interval,
        n=n,
        metrics=metrics,
        summary=wording.certified_summary(check, counts, n, metrics, interval),
        evidence=drawn.evidence,
        tables={"points": points, **drawn.tables},
        images=drawn.images,
        rests_on=wording.rests_on(check, bounds),
        assumed=wording.assumed(bounds.assumed),
        limits=(*wording.certified_limits(check, counts, n), *wording.ceiling_limit(check, metrics["vra_ceiling"])),
        threat_model=f"any perturbation of {wording.ball(check)}",
        opens_when=wording.opens_when(check, interval),
        power=wording.power(check, n),
    )
    if not outcome.certified.any():
        return judgement
    claim = Claim(
        check=check.name,
        norm=check.norm,
        epsilon=check.epsilon,
        guarantee=written(guarantee),
        arithmetic=check.arithmetic,
        rows=n,
        certified=int(outcome.certified.sum()),
        vra=counts["vra"],
        locally=counts.get("certified_locally", 0),
    )
    return replace(judgement, proved=Proved(*proof, claim))


def attacked_judgement(
    check: AttackedRobustness,
    *,
    label: np.ndarray,
    predicted: np.ndarray,
    attacked: np.ndarray,
    distance: np.ndarray,
    shown: Any,
    index: np.ndarray,
    classes: tuple[str, ...],
    input_range: tuple[float, float] | None,
) -> Judgement:
    """`attacked`: the class at the nearest point the attack found, or at the input; `distance` infinite if none."""
    import numpy as np
    import pyarrow as pa

    n = len(index)
    correct = label == predicted
    standing = correct & ~np.isfinite(distance)
    counts = {"accuracy_under_attack": int(standing.sum()), "clean_accuracy": int(correct.sum())}
    metrics = {name: count / n if n else None for name, count in counts.items()}
    value, interval = _interval(check, counts, n, None)
    broken_at = np.where(correct, distance, 0.0)
    drawn = pictures.attacked_pictures(
        check, label=label, correct=correct, broken_at=broken_at, attacked=attacked, shown=shown, index=index,
        classes=classes, input_range=input_range,
    )  # fmt: skip
    points = pa.table(
        {
            "index": pa.array(index, pa.int64()),
            "label": pa.array(label, pa.int64()),
            "predicted": pa.array(predicted, pa.int64()),
            "attacked": pa.array(attacked, pa.int64()),
            "distance": pa.array(broken_at, pa.float64(), mask=~np.isfinite(broken_at)),
        }
    )
    return conclude(
        check,
        kind=_kind(check.threshold.metric),
        value=value,
        interval=interval,
        n=n,
        metrics=metrics,
        summary=wording.attacked_summary(check, counts, n),
        evidence=drawn.evidence,
        tables={"points": points, **drawn.tables},
        images=drawn.images,
        threat_model=(
            f"white box; perturbations of {wording.ball(check)}{wording.within(input_range)}; "
            f"{wording.attack_name(check)}, margin and cross-entropy ascents in turn, then that of each target, a "
            "random search where no gradient leads; each success confirmed in float64"
        ),
        rests_on=("Every flip counted is a concrete input on which the float64 forward pass gives another label.",),
        limits=(
            "A stronger attack may break more: the true robust accuracy lies at or below what is printed.",
            f"Nothing about changes beyond {check.epsilon:g}, or of another kind than the "
            f"{wording.norm_name(check)} ball.",
        ),
        opens_when=wording.opens_when(check, interval),
        power=wording.power(check, n),
    )


def _outcome(certified: CertifiedRows, broken_at: np.ndarray) -> Outcome:
    import numpy as np
    import torch

    certificates, linear = certified.certificates, certified.linear
    assert certificates.vra_radius is not None
    places = torch.arange(1, certificates.radii.shape[1] + 1)
    return Outcome(
        label=certified.label.numpy(),
        predicted=certified.predicted.numpy(),
        correct=broken_at > 0,
        certified=certificates.certified.numpy(),
        radius=certificates.radius.numpy(),
        vra_radius=certificates.vra_radius.numpy(),
        broken_at=broken_at,
        k=certificates.k.numpy(),
        robust_set=certificates.robust_set.numpy(),
        radii=certificates.radii.numpy(),
        holds=(certificates.admissible & (certified.rank[:, None] < places)).numpy(),
        linear=np.zeros(certificates.radii.shape, bool) if linear is None else linear.held.numpy(),
        exhausted=np.zeros(len(broken_at), bool) if linear is None else linear.exhausted.numpy(),
    )


def _linear_counts(outcome: Outcome, epsilon: float) -> dict[str, int]:
    """How many rows owe their certificate to the network's constant, how many to linear bounds alone."""
    locally = outcome.certified_linearly(epsilon)
    return {
        "certified_globally": int((outcome.certified & ~locally).sum()),
        "certified_locally": int(locally.sum()),
        "vra_locally": int(outcome.proved_linearly(epsilon).sum()),
        "out_of_time": int(outcome.exhausted.sum()),
    }


def _interval(
    check: Check, counts: dict[str, int], n: int, lipschitz: tuple[float, float] | None
) -> tuple[float | None, Interval | None]:
    """The metric's value and [L, U]. For `vra` L speaks of what is proved and U of what is not refuted."""
    metric = check.threshold.metric
    if metric == "lipschitz_upper":
        assert lipschitz is not None
        return lipschitz[1], Interval(*lipschitz)
    if not n:
        return None, None
    low = counts[metric]
    high = counts["accuracy_under_attack"] if metric == "vra" else low
    if check.claim == "sample":
        return low / n, Interval(low / n, high / n)
    confidence = check.confidence
    return low / n, Interval(
        clopper_pearson(low, n, confidence=confidence).low, clopper_pearson(high, n, confidence=confidence).high
    )


def _kind(metric: str) -> EvidenceKind:
    return EvidenceKind.ATTACKED if metric == "accuracy_under_attack" else EvidenceKind.MEASURED
