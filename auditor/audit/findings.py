"""From what ran to findings: judgements as they are, and findings for what failed, was undecidable or left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auditor.errors import AuditorError, CertificateBroken, Unsupported
from auditor.plan import Plan, Undecided
from auditor.records import Column, EvidenceKind, Finding, Judgement, Status, Table
from auditor.run import Failure, Outcome
from auditor.spec.check import Check


def judgements(checks: Mapping[str, Check], plan: Plan, outcome: Outcome) -> dict[str, Judgement]:
    """One judgement per check of the spec, in its order.

    The first check that needs a failed task is an `error`; others that need the same task are `skipped` and name the
    first. A check that the time budget stopped, or that its rows cannot decide, is `inconclusive`. One that was not
    selected is `skipped`.
    """
    undecided = {item.check: item for item in plan.undecidable}
    blamed: dict[str, str] = {}
    found: dict[str, Judgement] = {}
    for name, check in checks.items():
        result = outcome.results.get(name)
        if isinstance(result, Judgement):
            found[name] = result
        elif isinstance(result, Failure):
            first = blamed.setdefault(result.digest, name)
            found[name] = Judgement(_failed(check, result, None if first == name else first))
        elif name in undecided:
            found[name] = Judgement(_undecided(check, undecided[name]))
        elif name in plan.left_out:
            selection = plan.selection or "the selection"
            found[name] = Judgement(_blank(check, Status.SKIPPED, reason=f"not selected by {selection}"))
        else:
            found[name] = Judgement(_blank(check, Status.SKIPPED, reason="the audit stopped before it was judged"))
    return found


def broken_certificate(checks: Sequence[Check], error: CertificateBroken) -> list[Judgement]:
    """An attack flipped a certified point: our own mistake. The checks that rest on it end in an error that says so.

    The witness is their evidence: the input and the point that flipped it, value by value.
    """
    what = " ".join(error.what.split()).rstrip(".")
    reason = f"internal error: {what}. Please report this; do not rely on any certificate of this run"
    judged = []
    for check in checks:
        finding = _blank(check, Status.ERROR, reason=reason, code=error.code)
        if error.witness:
            import pyarrow as pa

            columns = {name: values.reshape(-1) for name, values in error.witness.items()}
            shown = tuple(Column(name=name, label=name, format=".6g") for name in columns)
            caption = "The input and the point that breaks its certificate."
            table = Table(id="witness", caption=caption, alt=caption, columns=shown)
            judged.append(
                Judgement(finding.model_copy(update={"evidence": (table,)}), tables={"witness": pa.table(columns)})
            )
        else:
            judged.append(Judgement(finding))
    return judged


def _failed(check: Check, failure: Failure, first: str | None) -> Finding:
    if failure.error is None:
        return _blank(
            check,
            Status.INCONCLUSIVE,
            reason=f"did not finish: {failure.text}",
            opens_when="--time-budget is longer; what has finished is kept, so the next run goes on from there",
        )
    code = failure.error.code if isinstance(failure.error, AuditorError) else "internal"
    what = _one_paragraph(failure.error)
    if first is not None:
        return _blank(
            check, Status.SKIPPED, reason=f"needs {failure.label!r}, which failed in {first}: {what}", code=code
        )
    where = f" at {failure.error.node}" if isinstance(failure.error, Unsupported) and failure.error.node else ""
    remedy = failure.error.remedy if isinstance(failure.error, AuditorError) else None
    return _blank(
        check,
        Status.ERROR,
        reason=f"{code} in {failure.label!r}{where}: {what}",
        code=code,
        opens_when=None if remedy is None else f"the cause is gone: {remedy.rstrip('.')}",
    )


def _undecided(check: Check, undecided: Undecided) -> Finding:
    rows = f"{undecided.rows} row{'' if undecided.rows == 1 else 's'}"
    return _blank(
        check,
        Status.INCONCLUSIVE,
        n=undecided.rows,
        reason=f"{rows} cannot decide it at confidence {check.confidence:g}; a pass takes at least {undecided.needed}",
        opens_when=f"at least {undecided.needed} rows are given, or a lower confidence is asked for",
        power=f"{undecided.needed} rows could give a pass, {undecided.rows} never can.",
    )


def _blank(check: Check, status: Status, *, reason: str, **fields: object) -> Finding:
    """A finding without a measurement."""
    return Finding(
        check=check.name,
        type=check.type,
        status=status,
        severity=check.severity,
        evidence_kind=EvidenceKind.MEASURED,
        claim=check.claim_text(),
        metric=check.threshold.metric,
        threshold=check.threshold.recorded(),
        confidence=check.confidence if check.claim == "population" else None,
        why=check.why,
        tags=check.tags,
        reason=reason,
        summary=f"{reason[:1].upper()}{reason[1:]}".rstrip(".") + ".",
        **fields,  # pyright: ignore[reportArgumentType]
    )


def _one_paragraph(error: BaseException) -> str:
    if isinstance(error, AuditorError):
        return " ".join(error.what.split())
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
