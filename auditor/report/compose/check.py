"""One check in full."""

from __future__ import annotations

from pathlib import PurePath

from auditor.records import Finding, Status
from auditor.report import words
from auditor.report.bar import demand, interval_bar
from auditor.report.compose.context import Context, mark, measured
from auditor.report.folder import evidence_folder
from auditor.report.layout import arranged
from auditor.report.marks import EVIDENCE_SHORT, WORDS
from auditor.report.numbers import in_a_line, sheets, tallies
from auditor.report.view import CheckView

STANCES = {
    Status.PASS: "Claim holds",
    Status.FAIL: "Claim fails",
    Status.INCONCLUSIVE: "Claim not decided",
    Status.ERROR: "Claim not examined: the check could not finish",
    Status.SKIPPED: "Claim not examined: the check did not run",
}


def check_view(finding: Finding, number: str, context: Context, *, brief: bool = False) -> CheckView:
    asked = demand(finding)
    limit = asked.limit if asked else None
    pair = finding.interval if finding.interval and finding.interval[0] != finding.interval[1] else None
    status = WORDS[finding.status.value]
    points = f"{evidence_folder(finding.check)}/points.parquet"
    has_points = context.folder.find(points) is not None
    attacked = finding.threat_model is not None
    has_value = measured(finding)
    pictures = context.gallery.pictures(finding, compact=brief)
    return CheckView(
        anchor=context.anchors[finding.check],
        number=number,
        name=finding.check,
        type=finding.type,
        severity="" if finding.severity == "error" else f"severity {finding.severity}",
        mark=mark(finding),
        status=f"Waived {status.lower()}" if finding.waived else status,
        stance=STANCES[finding.status] + (", waived" if finding.waived else ""),
        claim=words.sentence(finding.claim),
        claim_size="large" if len(finding.claim) <= 70 else "medium" if len(finding.claim) <= 130 else "small",
        why=words.sentence(finding.why or ""),
        metric=metric_label(finding),
        value=words.number(finding.value, apart_from=limit) if has_value else "not measured",
        interval=words.interval(pair, apart_from=limit) if pair else "",
        interval_note=_interval_note(finding) if has_value else "",
        kind=finding.evidence_kind.value if has_value or finding.status in (Status.PASS, Status.FAIL) else "",
        kind_means=EVIDENCE_SHORT[finding.evidence_kind.value],
        basis=_basis(finding, context),
        bar=interval_bar(finding),
        summary=words.sentence(finding.summary),
        reason=words.sentence(finding.reason or "") if not _told(finding) else "",
        opens_when=opens(finding.opens_when) if finding.status is not Status.PASS else "",
        waiver=_waiver(finding),
        blocks=arranged(pictures),
        rests_title="Threat model" if attacked else "Rests on",
        rests_on=tuple(words.sentence(text) for text in _grounds(finding)),
        limits=tuple(words.sentence(text) for text in finding.limits),
        power=words.sentence(finding.power or ""),
        numbers=sheets(finding),
        tallies=tallies(finding),
        more=in_a_line(finding),
        rerun=finding.rerun,
        points=points if has_points else "",
        points_hash=context.folder.sha256(points) if has_points else "",
    )


def metric_label(finding: Finding) -> str:
    """What `value` is: the metric, or the share of rows for which it is in bounds."""
    threshold = finding.threshold or {}
    if "for_at_least" in threshold or threshold.get("for") == "all":
        return "Share of rows that hold"
    name = words.metric_name(finding.metric)
    return name[0].upper() + name[1:] if name else ""


def opens(text: str | None) -> str:
    """The clause as the end of a sentence that begins "Opens when"."""
    clause = (text or "").strip().rstrip(".")
    return f"{clause}." if clause else ""


def _told(finding: Finding) -> bool:
    """Whether the summary already says the reason."""
    reason = (finding.reason or "").rstrip(".").lower()
    return reason in finding.summary.lower()


def _interval_note(finding: Finding) -> str:
    if finding.interval is None:
        return "no interval"
    if finding.confidence is None:
        return (
            "of these rows, not an estimate" if finding.interval[0] == finding.interval[1] else "bounds on these rows"
        )
    return f"each end holds at {words.percent(finding.confidence, 1)}"


def _basis(finding: Finding, context: Context) -> tuple[str, ...]:
    lines = []
    if finding.n is not None:
        lines.append(f"{finding.n:,} {'row' if finding.n == 1 else 'rows'}")
    tasks = [task for task in context.results.run.tasks if finding.check in task.checks]
    second = []
    if tasks:
        spent = sum(task.seconds for task in tasks if not task.cached)
        second.append("from the cache" if all(task.cached for task in tasks) else words.duration(spent))
    if finding.line is not None:
        second.append(f"{PurePath(finding.file).name if finding.file else 'spec'} line {finding.line}")
    return (*lines, *([" · ".join(second)] if second else []))


def _grounds(finding: Finding) -> tuple[str, ...]:
    grounds = [finding.threat_model] if finding.threat_model else []
    assumed = [f"Assumed, not checked: {text}" for text in finding.assumed]
    return tuple(dict.fromkeys([*grounds, *finding.rests_on, *assumed]))


def _waiver(finding: Finding) -> str:
    waiver = finding.waived
    if waiver is None:
        return ""
    return (
        f"Waived until {words.date(waiver.expires)}. “{waiver.reason.rstrip('.')}.” Owner {waiver.owner}; "
        f"granted {words.date(waiver.granted)}."
    )
