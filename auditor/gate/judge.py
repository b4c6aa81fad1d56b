"""The verdict: whether the gate opens, and if not, every reason in a plain sentence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from auditor.errors import UsageError
from auditor.gate.baseline import compare
from auditor.gate.exit_code import Exit, worst
from auditor.gate.waivers import Waiver, apply
from auditor.gate.wording import distinguishing, number, sentence, unproved
from auditor.records import Baseline, Change, Finding, Reason, Results, Status, Verdict


class Gate(Protocol):
    """The spec's `gate` section."""

    @property
    def block_on(self) -> Sequence[str]: ...
    @property
    def regression(self) -> float | None: ...


class Judged(Protocol):
    """What of the spec's document the gate obeys."""

    @property
    def gate(self) -> Gate: ...
    @property
    def waivers(self) -> Sequence[Waiver]: ...


def judge(
    findings: Sequence[Finding],
    document: Judged,
    *,
    as_of: dt.date,
    baseline: Results | None = None,
    baseline_path: str = "",
    left_out: Collection[str] = (),
) -> tuple[tuple[Finding, ...], Verdict, Baseline | None]:
    """The findings with waivers laid over, the verdict, and the comparison with `baseline` if there is one.

    A severity-error check blocks if its status is in `block_on` and no waiver is live, if it is worse than the baseline
    by more than `gate.regression`, or if it was skipped. `left_out` names checks that the user did not select: they do
    not block, but the verdict says that it does not speak of them. Checks of the baseline that the spec dropped warn.
    Raises UsageError where no check was run.
    """
    tolerance = document.gate.regression
    chosen = frozenset(left_out)
    if all(finding.check in chosen for finding in findings):
        raise UsageError("no check was run, and an empty selection never passes", remedy="select at least one check")
    applied = apply(findings, document.waivers, as_of=as_of, tolerance=tolerance or 0.0, left_out=chosen)
    comparison = None
    if baseline is not None:
        comparison = compare(applied.findings, baseline, tolerance=tolerance, path=baseline_path, left_out=chosen)
    changes = {} if comparison is None else {change.check: change for change in comparison.changes}

    objections: list[_Objection] = []
    block_on = {str(status) for status in document.gate.block_on}
    for finding in applied.findings:
        if finding.check in chosen:
            continue
        if _stands(finding, block_on):
            objections.append(_standing(finding, applied.refused.get(finding.check)))
        change = changes.get(finding.check)
        if change is not None and change.regression:
            objections.append(_regression(finding, change, tolerance or 0.0))
    blocking = [objection for objection in objections if objection.severity == "error"]
    warnings = [f"{item.check} (severity {item.severity}): {item.text}" for item in objections if item not in blocking]
    verdict = Verdict(
        status="blocked" if blocking else "passed",
        exit_code=int(worst(objection.code for objection in blocking)),
        reasons=tuple(Reason(check=item.check, status=item.status, text=item.text) for item in blocking),
        warnings=(
            *warnings,
            *applied.warnings,
            *_conditional(applied.findings),
            *_unspoken(applied.findings, chosen, changes),
        ),
    )
    return applied.findings, verdict, comparison


class _Objection(NamedTuple):
    """One reason against opening the gate, if the check is one that may block it."""

    check: str
    severity: str
    status: str
    text: str
    code: Exit


def _stands(finding: Finding, block_on: set[str]) -> bool:
    """Whether the finding's own status counts against it."""
    if finding.waived is not None:
        return False
    return finding.status is Status.SKIPPED or finding.status.value in block_on


def _standing(finding: Finding, refused: str | None) -> _Objection:
    text = sentence(finding) + (f" {refused[0].upper()}{refused[1:]}." if refused else "")
    text = f"{text} {unproved(finding)}".rstrip()
    code = Exit.ERRORS if finding.status in (Status.ERROR, Status.SKIPPED) else Exit.BLOCKED
    return _Objection(finding.check, finding.severity, finding.status.value, text, code)


def _regression(finding: Finding, change: Change, tolerance: float) -> _Objection:
    before, after, worse = change.before, change.after, change.worse
    digits = distinguishing(before, after)
    moved = f"{number(before, digits)} in the baseline and is now {number(after, digits)}"
    by = number(worse, distinguishing(worse, tolerance))
    text = f"Regressed: {finding.metric} was {moved}, worse by {by} where {number(tolerance)} is allowed."
    return _Objection(finding.check, finding.severity, "regression", text, Exit.BLOCKED)


def _conditional(findings: Sequence[Finding]) -> Iterator[str]:
    """What passes on a user's word: the reasons of those that do not say so themselves."""
    for finding in findings:
        if finding.status is Status.PASS and finding.assumed:
            yield f"{finding.check} passes on an assumption. {unproved(finding)}"


def _unspoken(findings: Sequence[Finding], left_out: frozenset[str], changes: Mapping[str, Change]) -> Iterator[str]:
    """What the verdict does not speak of."""
    if left_out:
        total = len({finding.check for finding in findings} | left_out)
        were = "was" if len(left_out) == 1 else "were"
        yield f"{len(left_out)} of {total} checks {were} not selected; this verdict does not speak of them."
    gone = [check for check, change in changes.items() if change.status_after is None]
    if gone:
        yield f"The baseline also held {', '.join(gone)}, which this spec no longer has."
