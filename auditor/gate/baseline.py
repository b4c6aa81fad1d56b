"""What changed since an earlier run, check by check."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from auditor.gate.direction import beyond, worsening
from auditor.records import Baseline, Change, Finding, Results


def compare(
    findings: Sequence[Finding],
    baseline: Results,
    *,
    tolerance: float | None,
    path: str = "",
    left_out: Collection[str] = (),
) -> Baseline:
    """Every check that ran now or then, in today's order, then what has gone. Left-out checks are not compared.

    `worse` is in the metric's units; it is absent where the two values are not of the same metric or one is missing.
    `regression`: worse than `tolerance` allows; without a tolerance nothing is one.
    """
    before = {finding.check: finding for finding in baseline.findings}
    changes = [
        _change(before.get(finding.check), finding, tolerance) for finding in findings if finding.check not in left_out
    ]
    now = {finding.check for finding in findings}
    changes += [
        Change(check=finding.check, before=finding.value, status_before=finding.status.value)
        for finding in baseline.findings
        if finding.check not in now and finding.check not in left_out
    ]
    return Baseline(
        path=path,
        started=baseline.run.started,
        model_sha256=baseline.model.sha256,
        changed=tuple(change.check for change in changes if _differs(change)),
        changes=tuple(changes),
    )


def _change(before: Finding | None, after: Finding, tolerance: float | None) -> Change:
    if before is None:
        return Change(check=after.check, after=after.value, status_after=after.status.value)
    worse = worsening(after.threshold, before.value, after.value) if before.metric == after.metric else None
    return Change(
        check=after.check,
        before=before.value,
        after=after.value,
        status_before=before.status.value,
        status_after=after.status.value,
        worse=worse,
        regression=tolerance is not None and beyond(worse, tolerance, before.value, after.value),
    )


def _differs(change: Change) -> bool:
    return change.before != change.after or change.status_before != change.status_after
