"""From a number and its interval to a finding: the verdict rule, once for all checks.

The rule is the contract's "What a verdict means".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.records import AnyEvidence, EvidenceKind, Finding, Judgement, Status

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from auditor.spec.check import Check


def decide(interval: tuple[float, float], *, at_least: float | None = None, at_most: float | None = None) -> Status:
    """Pass when the whole interval lies on the right side, fail when it lies on the wrong one, else inconclusive.

    `at_least t`: pass iff L ≥ t, fail iff U < t. `at_most t`: pass iff U ≤ t, fail iff L > t. NaN decides nothing.
    """
    low, high = interval
    if (at_least is None) == (at_most is None):
        raise ValueError(f"one bound decides, not at_least={at_least} and at_most={at_most}")
    if at_least is not None:
        return Status.PASS if low >= at_least else Status.FAIL if high < at_least else Status.INCONCLUSIVE
    assert at_most is not None
    return Status.PASS if high <= at_most else Status.FAIL if low > at_most else Status.INCONCLUSIVE


def conclude(
    check: Check,
    *,
    kind: EvidenceKind,
    value: float | None,
    interval: tuple[float, float] | None,
    n: int,
    metrics: dict[str, Any],
    summary: str,
    status: Status | None = None,
    threshold: dict[str, Any] | None = None,
    evidence: tuple[AnyEvidence, ...] = (),
    tables: dict[str, pa.Table] | None = None,
    images: dict[str, np.ndarray] | None = None,
    **texts: Any,
) -> Judgement:
    """The judgement of `check`: status from `interval` against its threshold unless `status` is given outright.

    `texts` are further fields of the finding: `limits`, `rests_on`, `assumed`, `threat_model`, `opens_when` (a
    clause, read after these two words), `power`, `reason`.
    """
    recorded = check.threshold.recorded() if threshold is None else threshold
    if status is None:
        bounds = {side: recorded[side] for side in ("at_least", "at_most") if side in recorded}
        status = Status.INCONCLUSIVE if interval is None else decide(interval, **bounds)
    finding = Finding(
        check=check.name,
        type=check.type,
        status=status,
        severity=check.severity,
        evidence_kind=kind,
        claim=check.claim_text(),
        metric=check.threshold.metric,
        value=value,
        interval=interval,
        confidence=check.confidence if check.claim == "population" else None,
        threshold=recorded,
        n=n,
        metrics=metrics,
        evidence=evidence,
        why=check.why,
        tags=check.tags,
        summary=summary,
        **texts,
    )
    return Judgement(finding, tables or {}, images or {})
