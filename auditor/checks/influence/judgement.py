"""The judgement of a criterion from its rows' metrics, and from those of the weight-randomised copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.checks.common.conclude import conclude
from auditor.checks.influence import wording
from auditor.checks.influence.pictures import pictures
from auditor.checks.influence.tally import Tally, tally
from auditor.records import EvidenceKind, Judgement, Status
from auditor.terms import Linear

if TYPE_CHECKING:
    import numpy as np

    from auditor.checks.influence.criterion import ExplanationCriterion, OfRows, Shown

TOLERANCE = 1e-3


def judgement(
    check: ExplanationCriterion,
    *,
    values: np.ndarray,
    values_randomised: np.ndarray,
    explained: OfRows,
    shown: Shown,
    labels: np.ndarray,
    index: np.ndarray,
    input_range: tuple[float, float] | None,
) -> Judgement:
    """All arrays speak of the selected rows, in order."""
    import numpy as np
    import pyarrow as pa

    found = _tally(check, values)
    randomised = _tally(check, values_randomised)
    vacuous = found.status is Status.PASS and randomised.status is Status.PASS
    defined = values[np.isfinite(values)]
    median = float(np.median(defined)) if len(defined) else None
    residual = explained.residual.numpy()
    measured = residual[np.isfinite(residual)]
    open_ = int((measured > TOLERANCE).sum())
    drawn = pictures(check, values=values, found=found, shown=shown, index=index, input_range=input_range)
    points = pa.table(
        {
            "index": pa.array(index, pa.int64()),
            "label": pa.array(labels, pa.int64()),
            "predicted": pa.array(explained.prediction.numpy(), pa.int64()),
            "value": pa.array(values, pa.float64()),
            "holds": pa.array(found.holds, pa.bool_()),
        }
    )
    return conclude(
        check,
        kind=EvidenceKind.MEASURED,
        status=found.status,
        value=found.value,
        interval=found.interval,
        n=found.n,
        metrics={
            "fraction": found.holding / found.n if found.n else None,
            "undefined": found.undefined,
            "value_median": median,
            "fraction_randomised": randomised.holding / randomised.n if randomised.n else None,
            "vacuous": vacuous,
            "residual_max": float(measured.max()) if len(measured) else None,
            "incomplete": open_,
            "steps_max": int(explained.steps.max()) if len(values) else None,
        },
        summary=wording.summary(check, found, median=median, vacuous=vacuous),
        limits=wording.limits(check, vacuous=vacuous),
        rests_on=_rests_on(check, measured, open_),
        opens_when=wording.opens_when(check, found),
        power=wording.power(check, found),
        evidence=drawn.evidence,
        tables={"points": points, **drawn.tables},
        images=drawn.images,
    )


def _tally(check: ExplanationCriterion, values: np.ndarray) -> Tally:
    return tally(values, check.demand, confidence=check.confidence, claim=check.claim, seed=check.seed)


def _rests_on(check: ExplanationCriterion, residual: np.ndarray, incomplete: int) -> tuple[str, ...]:
    stated = [f"Internal influence (thesis def. 3.2): {check.asked()}, {check.points()}."]
    if isinstance(check.distribution, Linear) and len(residual):
        worst = f"the attributions miss the difference they account for by at most {residual.max():.2g} of it"
        stated.append(f"Completeness: {worst}.")
        if incomplete:
            noun = "row" if incomplete == 1 else "rows"
            stated.append(f"{incomplete} {noun} reached the step limit with a residual above {TOLERANCE:g}.")
    return tuple(stated)
