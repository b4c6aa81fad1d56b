"""A summary for a pull request, in GitHub's Markdown, with everything that users wrote escaped."""

from __future__ import annotations

import re

from auditor.records import Results
from auditor.report import words
from auditor.report.bar import demand
from auditor.report.compose.check import opens
from auditor.report.figures.canvas import clean
from auditor.report.marks import WORDS

SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "◐", "waived": "☑", "error": "⚠", "skipped": "○"}


def markdown(results: Results) -> bytes:
    """Verdict, blocking reasons with what would open the gate, and one row a check."""
    verdict = results.verdict
    passed = verdict.status == "passed"
    lines = [f"## {'✅ Passed' if passed else '❌ Blocked'}: {escape(results.spec.name)}", ""]
    findings = {finding.check: finding for finding in results.findings}
    for reason in verdict.reasons:
        lines.append(f"- **{escape(reason.check)}** {escape(reason.text)}")
        finding = findings.get(reason.check)
        way = opens(finding.opens_when) if finding and reason.status != "regression" else ""
        if way:
            lines.append(f"  Opens when {escape(way)}")
    lines += [""] if verdict.reasons else []
    lines += ["| | Check | Evidence | Value | Interval | Asked | Rows |", "|---|---|---|---:|---:|---:|---:|"]
    for finding in results.findings:
        mark = "waived" if finding.waived else finding.status.value
        asked = demand(finding)
        limit = asked.limit if asked else None
        word = f"waived {finding.status.value}" if finding.waived else WORDS[mark].lower()
        cells = [
            f"{SIGNS[mark]} {word}",
            escape(finding.check),
            finding.evidence_kind.value,
            words.number(finding.value, apart_from=limit),
            words.interval(finding.interval, apart_from=limit),
            asked.short if asked else "",
            f"{finding.n:,}" if finding.n is not None else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"> {escape(warning)}  " for warning in verdict.warnings)]
    lines += [""] if verdict.warnings else []
    lines.append(
        f"Model `{words.tiny_hash(results.model.sha256)}`, spec `{words.tiny_hash(results.spec.sha256)}`, "
        f"exit code {verdict.exit_code}."
    )
    return ("\n".join(lines) + "\n").encode("utf-8")


def escape(text: str) -> str:
    """`text` on one line, inert: no tags, links, images, mentions, tables or emphasis."""
    text = " ".join(clean(text).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", text)
    return text.replace("@", "@\u200b").replace("://", ":\u200b//")
