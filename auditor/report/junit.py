"""JUnit XML: one test case a check; a failure or an error is what blocks the gate, and nothing else."""

from __future__ import annotations

from xml.etree import ElementTree as xml

from auditor.records import Finding, Results, Status
from auditor.report.bar import spoken
from auditor.report.figures.canvas import clean


def junit(results: Results) -> bytes:
    """A `testsuites` document. Skipped: waived, not run, or a non-pass that the spec does not let block."""
    blocking = {reason.check: reason for reason in results.verdict.reasons}
    suite = xml.Element("testsuite", name=clean(results.spec.name), timestamp=clean(results.run.started))
    counts: dict[str, int] = {"failures": 0, "errors": 0, "skipped": 0}
    seconds = {f.check: sum(t.seconds for t in results.run.tasks if t.checks == (f.check,)) for f in results.findings}
    for finding in results.findings:
        family, _, _ = finding.type.partition(".")
        case = xml.SubElement(
            suite, "testcase", name=clean(finding.check), classname=clean(f"{results.spec.name}.{family}"),
            time=f"{seconds[finding.check]:.3f}", file=clean(finding.file or results.spec.path),
            line=str(finding.line or 1),
        )  # fmt: skip
        kind = _outcome(finding, finding.check in blocking)
        if kind:
            counts[{"failure": "failures", "error": "errors", "skipped": "skipped"}[kind]] += 1
            reason = blocking.get(finding.check)
            element = xml.SubElement(case, kind, message=clean(_message(finding, reason.text if reason else "")))
            if kind != "skipped":
                element.set("type", clean(reason.status if reason else finding.status.value))
                element.text = clean_lines(_details(finding))
        xml.SubElement(case, "system-out").text = clean_lines(spoken(finding))
    for reason in results.verdict.reasons:
        if reason.check not in seconds:
            case = xml.SubElement(
                suite, "testcase", name=clean(reason.check or "gate"), classname=clean(f"{results.spec.name}.gate")
            )
            xml.SubElement(case, "failure", message=clean(reason.text), type=clean(reason.status))
            counts["failures"] += 1
    suite.attrib.update(
        tests=str(len(suite)), time=f"{results.run.seconds:.3f}", **{k: str(v) for k, v in counts.items()}
    )
    root = xml.Element("testsuites", name="auditor", tests=suite.attrib["tests"], time=suite.attrib["time"])
    root.attrib.update({key: str(value) for key, value in counts.items()})
    root.append(suite)
    xml.indent(root)
    return xml.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _outcome(finding: Finding, blocks: bool) -> str:
    if blocks:
        return "error" if finding.status in (Status.ERROR, Status.SKIPPED) else "failure"
    return "" if finding.status is Status.PASS else "skipped"


def _message(finding: Finding, reason: str) -> str:
    if reason:
        return reason
    if finding.waived:
        waiver = finding.waived
        return f"waived {finding.status.value} until {waiver.expires}, {waiver.owner}: {waiver.reason}"
    if finding.status is Status.SKIPPED:
        return finding.reason or "skipped"
    return f"{finding.status.value} (does not block): {finding.reason or finding.summary}"


def _details(finding: Finding) -> str:
    parts = [finding.claim, finding.summary, finding.reason or ""]
    parts.append(f"Opens when {finding.opens_when}." if finding.opens_when else "")
    parts.append(finding.rerun)
    return "\n".join(part for part in dict.fromkeys(parts) if part)


def clean_lines(text: str) -> str:
    return "\n".join(clean(line) for line in text.split("\n"))
