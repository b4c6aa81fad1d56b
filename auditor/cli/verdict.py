"""How a finished audit reads on a terminal: one line a check, the verdict and its reasons, where the reports are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli.terminal import bold, dim, fit, mark, paragraph, say, seconds, width, word
from auditor.gate.wording import number, sentence
from auditor.records import Finding, Results, Status

if TYPE_CHECKING:
    from auditor.audit.conduct import Audited

STATUS = len("inconclusive")
NAMES = {
    "report.html": "report",
    "report.pdf": "PDF",
    "junit.xml": "JUnit",
    "results.sarif": "SARIF",
    "summary.md": "summary",
}


def header(spec: Path, model: Path) -> None:
    say(f"{bold('auditor')}  {spec}  {model}")


def show(audited: Audited, *, quiet: bool = False, verbose: bool = False) -> None:
    """The lines, then the verdict block."""
    results = audited.results
    if not quiet:
        say()
        for line in lines(results):
            say(line)
        if verbose:
            for finding in results.findings:
                say()
                say(f"{mark(_status(finding))} {bold(finding.check)}")
                paragraph(finding.summary or sentence(finding))
        say()
    verdict(results)
    say()
    places(audited)


def lines(results: Results) -> list[str]:
    """One line a check: status, name, value with interval, threshold. What was not selected is one line in all."""
    shown = [finding for finding in results.findings if not _left_out(finding)]
    values, demands = [_value(finding) for finding in shown], [_demand(finding) for finding in shown]
    value = max((len(text) for text in values), default=0)
    fixed = 2 + STATUS + 2 + 2 + value + 2 + max((len(text) for text in demands), default=0)
    longest = max((len(finding.check) for finding in shown), default=0)
    name = min(longest, max(width() - fixed, 16))
    listed = []
    for finding, measured, demand in zip(shown, values, demands, strict=True):
        status = _status(finding)
        listed.append(
            f"{mark(status)} {word(status)}{' ' * (STATUS - len(status))}  {fit(finding.check, name)}  "
            f"{measured.ljust(value)}  {dim(demand)}"
        )
    hidden = len(results.findings) - len(shown)
    if hidden:
        listed.append(dim(f"{mark('skipped')} {hidden} not selected"))
    return listed


def verdict(results: Results) -> None:
    """PASSED or BLOCKED with its counts, every reason, every warning."""
    passed = results.verdict.status == "passed"
    head = click.style(" PASSED " if passed else " BLOCKED ", fg="black", bg="green" if passed else "red", bold=True)
    say(f"{head}  {_counts(results)}")
    for reason in results.verdict.reasons:
        say(f"\n{mark(reason.status)} {bold(reason.check)}")
        paragraph(reason.text)
        opens = next((item.opens_when for item in results.findings if item.check == reason.check), None)
        if opens:
            paragraph(f"Opens when {opens}.")
    if results.verdict.warnings:
        say()
    for text in results.verdict.warnings:
        paragraph(f"warning: {text}", first="", follow="  ")
    for text in results.run.notes:
        paragraph(f"note: {text}", first="", follow="  ")


def places(audited: Audited) -> None:
    """Where the reports are, and what could not be rendered."""
    rendered = [path for path in audited.rendered if path.name != "results.json"]
    rows = [(NAMES.get(path.name, path.name), path) for path in rendered]
    for name, path in [*rows, ("results", audited.folder / "results.json")]:
        say(f"{dim(name.ljust(8))} {path}")
    cached = sum(task.cached for task in audited.results.run.tasks)
    tasks = len(audited.results.run.tasks)
    if tasks:
        say(dim(f"{seconds(audited.results.run.seconds)}, {cached} of {tasks} tasks from the store"))
    for error in audited.unrendered:
        say(f"{click.style('not rendered:', fg='red', bold=True)} {error.what}", err=True)
        if error.remedy:
            say(f"  {dim(error.remedy)}", err=True)


def _counts(results: Results) -> str:
    """ "7 checks: 5 pass, 1 fails, 1 waived"."""
    counted: dict[str, int] = {}
    for finding in results.findings:
        if not _left_out(finding):
            counted[_status(finding)] = counted.get(_status(finding), 0) + 1
    order = ("pass", "fail", "inconclusive", "error", "skipped", "waived")
    parts = [f"{counted[status]} {status}" for status in order if status in counted]
    total = sum(counted.values())
    return f"{total} check{'' if total == 1 else 's'}: {', '.join(parts)}"


def _status(finding: Finding) -> str:
    return "waived" if finding.waived is not None else finding.status.value


def _left_out(finding: Finding) -> bool:
    return finding.status is Status.SKIPPED and (finding.reason or "").startswith("not selected")


def _value(finding: Finding) -> str:
    """ "0.9471 [0.9251, 0.9632]"; the verdict's reasons have every digit that decides."""
    if finding.value is None and finding.interval is None:
        return "–"
    low, high = finding.interval or (None, None)
    if low is None or low == high:
        return _short(finding.value)
    return f"{_short(finding.value)} [{_short(low)}, {_short(high)}]"


def _short(value: float | None) -> str:
    """Four decimals at most below one, four significant digits above."""
    if value is None or not math.isfinite(value) or abs(value) >= 1:
        return number(value)
    return number(round(value, 4)) if value == 0 or abs(value) >= 0.00005 else f"{value:.0e}"


def _demand(finding: Finding) -> str:
    """ "≥ 0.85", "≤ 0.3 on ≥ 0.9 of rows"."""
    threshold = finding.threshold or {}
    text = ""
    for key, sign in (("at_least", "≥"), ("at_most", "≤")):
        if key in threshold:
            text = f"{sign} {number(threshold[key], 6)}"
    if "for_at_least" in threshold:
        return f"{text} on ≥ {number(threshold['for_at_least'], 6)}"
    return f"{text} on all" if threshold.get("for") == "all" else text
