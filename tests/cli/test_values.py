"""What the command line reads and prints: durations, sizes, days, marks, the verdict at 80 columns."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click
import pytest

from auditor.cli.annotations import commands
from auditor.cli.options import Day, Duration, Names, Size
from auditor.cli.terminal import seconds, size
from auditor.cli.verdict import lines
from auditor.records import EvidenceKind, Finding, ModelRecord, Reason, Results, SpecRecord, Status, Verdict, Waived


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Duration(), "90", 90.0),
        (Duration(), "30m", 1800.0),
        (Duration(), "1h30m", 5400.0),
        (Duration(), "1.5 h", 5400.0),
        (Duration(), "30d", 30 * 86400.0),
        (Size(), "500MB", 500_000_000),
        (Size(), "2gb", 2_000_000_000),
        (Size(), "17", 17),
        (Day(), "2026-11-24", dt.date(2026, 11, 24)),
        (Names(), "html, pdf,,json", ("html", "pdf", "json")),
    ],
)
def test_values(kind: click.ParamType, text: str, value: Any) -> None:
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Duration(), "soon"),
        (Duration(), "5 parsecs"),
        (Duration(), ""),
        (Duration(), "-3s"),
        (Size(), "big"),
        (Size(), "1 XB"),
        (Day(), "24.11.2026"),
        (Day(), "2026-02-30"),
        (Day(), "today"),
    ],
)
def test_what_is_no_value_is_a_usage_error(kind: click.ParamType, text: str) -> None:
    with pytest.raises(click.UsageError, match="is not a"):
        kind.convert(text, None, None)


@pytest.mark.parametrize(
    ("value", "text"), [(0.04, "0.0 s"), (12.4, "12 s"), (60, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_seconds(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (123_456_789, "123 MB")])
def test_size(value: int, text: str) -> None:
    assert size(value) == text


def finding(check: str, status: str, **changes: Any) -> Finding:
    fields: dict[str, Any] = {
        "check": check,
        "type": "quality.accuracy",
        "status": Status(status),
        "evidence_kind": EvidenceKind.MEASURED,
        "claim": "c",
        "metric": "accuracy",
        "value": 0.9471,
        "interval": (0.9251, 0.9632),
        "threshold": {"at_least": 0.85},
        "n": 360,
    }
    return Finding(**(fields | changes))


def results(*findings: Finding, **verdict: Any) -> Results:
    return Results(
        spec=SpecRecord(name="x", path="specs/x.yaml", sha256="0" * 64),
        model=ModelRecord(path="m.pt", sha256="1" * 64, parameters=1),
        verdict=Verdict(**({"status": "passed", "exit_code": 0} | verdict)),
        findings=findings,
    )


WAIVED = Waived(reason="r", owner="o", granted="2026-11-20", expires="2027-06-30")
ALL = results(
    finding("accuracy", "pass"),
    finding("robust/standard", "fail", value=0.123456, interval=(0.0, 0.2)),
    finding("sound/explanations-follow-the-model", "inconclusive", threshold={"at_most": 0.3, "for_at_least": 0.9}),
    finding("private/membership", "error", value=None, interval=None),
    finding("private/inversion", "fail", waived=WAIVED, threshold={"at_most": float("inf")}),
    finding("fair/amplification", "skipped", value=None, interval=None, reason="needs a task that failed"),
    finding("other", "skipped", value=None, interval=None, reason="not selected by --select x"),
)


def test_one_line_a_check_within_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = [click.unstyle(line) for line in lines(ALL)]
    assert len(listed) == 7
    assert max(len(line) for line in listed) <= 80
    for status, line in zip(("pass", "fail", "inconclusive", "error", "waived", "skipped"), listed, strict=False):
        assert line.split()[1] == status
    assert "0.9471 [0.9251, 0.9632]" in listed[0]
    assert "≥ 0.85" in listed[0]
    assert "≤ 0.3 on ≥ 0.9" in listed[2]
    assert listed[-1].endswith("1 not selected")


def test_annotations_name_the_line_and_escape_what_github_reads() -> None:
    blocked = results(
        finding("a", "fail", line=17),
        status="blocked",
        exit_code=1,
        reasons=(Reason(check="a", status="fail", text="50 % fail:\nsee"),),
        warnings=("w",),
    )
    assert commands(blocked) == [
        "::error file=specs/x.yaml,line=17,title=a%3A fail::50 %25 fail:%0Asee",
        "::warning file=specs/x.yaml,title=auditor::w",
    ]
