"""JUnit, SARIF and Markdown say what the gate says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import RecordError, UsageError
from auditor.records import Results, Status
from auditor.report import render
from auditor.report.markdown import escape


def test_junit_has_one_case_a_check_and_fails_what_blocks(run_dir: Path, results: Results) -> None:
    suites = ElementTree.parse(run_dir / "junit.xml").getroot()
    cases = {case.attrib["name"]: case for case in suites.iter("testcase")}
    assert list(cases) == [finding.check for finding in results.findings]
    blocking = {reason.check for reason in results.verdict.reasons}
    outcomes = {name: [child.tag for child in case if child.tag != "system-out"] for name, case in cases.items()}
    for finding in results.findings:
        want = {Status.ERROR: "error"}.get(finding.status, "failure") if finding.check in blocking else "skipped"
        assert outcomes[finding.check] == ([] if finding.status is Status.PASS else [want])
    suite = suites[0]
    assert suite.attrib["failures"] == "2"
    assert suite.attrib["errors"] == "1"
    assert suite.attrib["skipped"] == "2"
    assert suite.attrib["tests"] == str(len(results.findings))
    skipped = cases["private/inversion"].find("skipped")
    assert skipped is not None
    assert "waived fail until 2027-06-30" in skipped.attrib["message"]


def test_sarif_points_at_the_lines_of_the_spec(run_dir: Path, results: Results) -> None:
    log = json.loads((run_dir / "results.sarif").read_text("utf-8"))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len(run["results"]) == len(results.findings)
    for result, finding in zip(run["results"], results.findings, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding.type
        assert result["kind"] in {"pass", "fail", "open", "notApplicable"}
        assert (result["level"] != "none") == (result["kind"] == "fail")
        (location,) = result["locations"]
        assert location["physicalLocation"]["region"]["startLine"] == (finding.line or 1)
        assert location["physicalLocation"]["artifactLocation"]["uri"] == "specs/eurosat.yaml"
        assert ("suppressions" in result) == (finding.waived is not None)
        assert result["message"]["text"].startswith(finding.check)
    lines = results.spec.text.splitlines()
    river = next(r for r in run["results"] if "river" in r["message"]["text"])
    start = river["locations"][0]["physicalLocation"]["region"]["startLine"]
    assert "sound/river-not-border:" in lines[start - 1]


def test_markdown_has_the_verdict_the_reasons_and_every_check(run_dir: Path, results: Results) -> None:
    text = (run_dir / "summary.md").read_text("utf-8")
    assert text.startswith("## ❌ Blocked: eurosat\n")
    assert "Opens when at least 386 of 417 rows hold" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(results.findings)
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 8 for row in rows)


@given(st.text())
def test_escaped_markdown_is_one_inert_line(text: str) -> None:
    safe = escape(text)
    assert "\n" not in safe
    assert "<" not in safe
    assert ">" not in safe
    assert not re.search(r"(?<!\\)(?:\\\\)*[|`\[\]]", safe)


def test_json_is_left_as_it_is(run_dir: Path) -> None:
    before = (run_dir / "results.json").read_bytes()
    assert render(run_dir, ["json"]) == [run_dir / "results.json"]
    assert (run_dir / "results.json").read_bytes() == before


def test_unknown_format_and_missing_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="docx"):
        render(tmp_path, ["docx"])
    with pytest.raises(RecordError, match=r"results\.json"):
        render(tmp_path, ["html"])
