"""The gate's rules, each with the case that must block and the one beside it that must not."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import UsageError
from auditor.gate import Exit, judge, worst
from auditor.gate.direction import beyond
from auditor.gate.waivers import date_of
from auditor.records import EvidenceKind, Finding, ModelRecord, Results, SpecRecord, Status, Verdict

TODAY = dt.date(2026, 11, 24)


ASSUMED = ("the constant 2.5 of `features.attention`, which is the user's word",)


@dataclass
class Waiver:
    check: str = "a"
    reason: str = "known"
    owner: str = "j.doe@example.org"
    granted: Any = "2026-11-20"
    expires: Any = "2027-06-30"
    at_value: float | None = None


@dataclass
class Gate:
    block_on: tuple[str, ...] = ("fail", "inconclusive", "error")
    regression: float | None = None


@dataclass
class Spec:
    gate: Gate = field(default_factory=Gate)
    waivers: tuple[Waiver, ...] = ()


def finding(status: str = "fail", *, check: str = "a", value: float | None = 0.70, **changes: Any) -> Finding:
    fields: dict[str, Any] = {
        "check": check,
        "type": "quality.accuracy",
        "status": Status(status),
        "evidence_kind": EvidenceKind.MEASURED,
        "claim": "It is accurate.",
        "metric": "accuracy",
        "value": value,
        "interval": None if value is None else (value - 0.01, value + 0.01),
        "threshold": {"at_least": 0.73},
        "n": 4500,
        "reason": "the forward pass failed" if status in ("error", "skipped") else None,
    }
    return Finding(**(fields | changes))


def results(*findings: Finding) -> Results:
    return Results(
        spec=SpecRecord(name="x", path="x.yaml", sha256="0"),
        model=ModelRecord(path="m.pt", sha256="1", parameters=1),
        verdict=Verdict(status="passed", exit_code=0),
        findings=findings,
    )


def verdict(
    *findings: Finding, spec: Spec | None = None, baseline: Results | None = None, as_of: dt.date = TODAY
) -> Verdict:
    return judge(findings, spec or Spec(), as_of=as_of, baseline=baseline)[1]


@pytest.mark.parametrize(
    ("status", "code"), [("pass", 0), ("fail", 1), ("inconclusive", 1), ("error", 4), ("skipped", 4)]
)
def test_each_status_has_its_exit_code(status: str, code: int) -> None:
    outcome = verdict(finding(status))
    assert outcome.exit_code == code
    assert outcome.status == ("blocked" if code else "passed")
    assert len(outcome.reasons) == (1 if code else 0)


def test_a_fail_beside_an_error_is_exit_1_and_both_are_named() -> None:
    outcome = verdict(finding("error"), finding("fail", check="b"))
    assert outcome.exit_code == 1
    assert [reason.check for reason in outcome.reasons] == ["a", "b"]


@pytest.mark.parametrize("severity", ["warn", "info"])
@pytest.mark.parametrize("status", ["fail", "inconclusive", "error", "skipped"])
def test_only_severity_error_blocks(severity: str, status: str) -> None:
    assert verdict(finding(status, severity=severity)).status == "passed"


def test_what_block_on_leaves_out_does_not_block() -> None:
    assert verdict(finding("inconclusive"), spec=Spec(Gate(block_on=("fail",)))).status == "passed"
    assert verdict(finding("fail"), spec=Spec(Gate(block_on=("fail",)))).status == "blocked"


def test_the_reason_is_a_sentence_with_its_numbers() -> None:
    (reason,) = verdict(finding("fail")).reasons
    assert reason.text == "Fails: accuracy 0.7 in [0.69, 0.71], required at least 0.73, 4500 rows."
    (reason,) = verdict(finding("skipped")).reasons
    assert reason.text == "Was not run: the forward pass failed."


def test_rounding_never_hides_why_it_blocks() -> None:
    (reason,) = verdict(finding("inconclusive", value=0.73, interval=(0.729999, 0.74))).reasons
    assert "[0.729999, 0.74]" in reason.text


def test_nothing_run_never_passes() -> None:
    with pytest.raises(UsageError, match="never passes"):
        judge([], Spec(), as_of=TODAY)
    with pytest.raises(UsageError, match="never passes"):
        judge([finding("skipped")], Spec(), as_of=TODAY, left_out=["a"])


def test_what_was_not_selected_warns_instead_of_blocking() -> None:
    skipped = finding("skipped", check="b", reason="not selected")
    _, outcome, _ = judge([finding("pass"), skipped], Spec(), as_of=TODAY, left_out=["b"])
    assert outcome.status == "passed"
    assert outcome.warnings == ("1 of 2 checks was not selected; this verdict does not speak of them.",)


class TestWaivers:
    @pytest.mark.parametrize("status", ["fail", "inconclusive"])
    def test_a_live_one_opens_the_gate_and_keeps_the_status(self, status: str) -> None:
        laid, outcome, _ = judge([finding(status)], Spec(waivers=(Waiver(),)), as_of=TODAY)
        assert outcome.status == "passed"
        assert laid[0].status == status
        assert laid[0].waived is not None
        assert laid[0].waived.owner == "j.doe@example.org"

    @pytest.mark.parametrize("status", ["error", "skipped"])
    def test_what_did_not_finish_cannot_be_waived(self, status: str) -> None:
        outcome = verdict(finding(status), spec=Spec(waivers=(Waiver(),)))
        assert outcome.exit_code == 4
        assert f"a check that ends in {status} cannot be waived" in outcome.reasons[0].text.lower()

    def test_names_one_exact_check(self) -> None:
        outcome = verdict(finding("fail"), finding("fail", check="b"), spec=Spec(waivers=(Waiver(check="*"),)))
        assert len(outcome.reasons) == 2
        assert "applies to nothing" in outcome.warnings[0]

    def test_the_day_of_expiry_is_included(self) -> None:
        spec = Spec(waivers=(Waiver(expires="2026-11-24"),))
        assert verdict(finding("fail"), spec=spec, as_of=dt.date(2026, 11, 24)).status == "passed"
        late = verdict(finding("fail"), spec=spec, as_of=dt.date(2026, 11, 25))
        assert late.exit_code == 1
        assert "waiver expired on 2026-11-24" in late.reasons[0].text

    def test_at_most_365_days(self) -> None:
        year = Waiver(granted="2026-11-20", expires="2027-11-20")
        longer = Waiver(granted="2026-11-20", expires="2027-11-21")
        assert verdict(finding("fail"), spec=Spec(waivers=(year,))).status == "passed"
        assert "366 days" in verdict(finding("fail"), spec=Spec(waivers=(longer,))).reasons[0].text

    @pytest.mark.parametrize(
        "written",
        ["2026-13-01", "2027-6-30", "20270630", "soon", "", None, 20270630, "２０２７-06-30", "2027-06-30T00:00"],
    )
    @pytest.mark.parametrize("which", ["granted", "expires"])
    def test_a_malformed_date_counts_as_expired(self, written: Any, which: str) -> None:
        outcome = verdict(finding("fail"), spec=Spec(waivers=(Waiver(**{which: written}),)))
        assert outcome.exit_code == 1
        assert "counts as expired" in outcome.reasons[0].text

    def test_it_must_have_begun_and_not_run_backwards(self) -> None:
        assert verdict(finding("fail"), spec=Spec(waivers=(Waiver(granted="2026-11-25"),))).status == "blocked"
        backwards = Waiver(granted="2026-11-20", expires="2026-11-19")
        assert "before it was granted" in verdict(finding("fail"), spec=Spec(waivers=(backwards,))).reasons[0].text

    def test_unused_ones_warn(self) -> None:
        outcome = verdict(finding("pass"), spec=Spec(waivers=(Waiver(),)))
        assert outcome.status == "passed"
        assert outcome.warnings == ("The waiver for a is not needed: the check passes.",)

    def test_one_for_a_check_that_was_not_selected_is_not_unused(self) -> None:
        _, outcome, _ = judge(
            [finding("pass"), finding("skipped", check="b")],
            Spec(waivers=(Waiver(check="b"),)),
            as_of=TODAY,
            left_out=["b"],
        )
        assert not any("waiver" in text for text in outcome.warnings)

    def test_a_second_one_may_be_the_live_one(self) -> None:
        spec = Spec(waivers=(Waiver(expires="2026-11-21"), Waiver()))
        assert verdict(finding("fail"), spec=spec).status == "passed"

    @pytest.mark.parametrize(
        ("value", "status"), [(0.71, "passed"), (0.70, "passed"), (0.69, "passed"), (0.6899, "blocked")]
    )
    def test_at_value_reopens_beyond_the_tolerance(self, value: float, status: str) -> None:
        spec = Spec(Gate(regression=0.01), (Waiver(at_value=0.70),))
        assert verdict(finding("fail", value=value), spec=spec).status == status

    def test_at_value_follows_the_bad_direction(self) -> None:
        spec = Spec(waivers=(Waiver(at_value=0.20),))
        budget = {"threshold": {"at_most": 0.1}}
        assert verdict(finding("fail", value=0.15, **budget), spec=spec).status == "passed"
        worse = verdict(finding("fail", value=0.21, **budget), spec=spec)
        assert "was 0.2 when it was granted and is now 0.21" in worse.reasons[0].text

    def test_at_value_without_a_value_does_not_hold(self) -> None:
        spec = Spec(waivers=(Waiver(at_value=0.70),))
        assert verdict(finding("inconclusive", value=None, interval=None), spec=spec).status == "blocked"

    @given(st.text(max_size=12) | st.dates() | st.integers() | st.none())
    def test_dates_are_read_or_refused_never_raised(self, written: Any) -> None:
        day = date_of(written)
        assert day is None or str(day) == str(written)


class TestBaseline:
    def test_a_regression_beyond_the_tolerance_blocks_a_passing_check(self) -> None:
        spec = Spec(Gate(regression=0.01))
        outcome = verdict(finding("pass", value=0.80), spec=spec, baseline=results(finding("pass", value=0.82)))
        assert outcome.exit_code == 1
        assert outcome.reasons[0].status == "regression"
        assert "was 0.82 in the baseline and is now 0.8, worse by 0.02 where 0.01 is allowed" in outcome.reasons[0].text

    def test_exactly_the_tolerance_does_not(self) -> None:
        spec = Spec(Gate(regression=0.01))
        assert (
            verdict(finding("pass", value=0.84), spec=spec, baseline=results(finding("pass", value=0.85))).status
            == "passed"
        )

    def test_an_improvement_does_not(self) -> None:
        spec = Spec(Gate(regression=0.0))
        assert (
            verdict(finding("pass", value=0.9), spec=spec, baseline=results(finding("pass", value=0.8))).status
            == "passed"
        )

    def test_lower_is_better_under_a_budget_and_not_for_a_share_of_rows(self) -> None:
        spec = Spec(Gate(regression=0.01))
        budget = {"threshold": {"at_most": 0.5}}
        rows = {"threshold": {"at_most": 0.3, "for_at_least": 0.9}}
        assert (
            verdict(
                finding("pass", value=0.4, **budget), spec=spec, baseline=results(finding("pass", value=0.3, **budget))
            ).exit_code
            == 1
        )
        assert (
            verdict(
                finding("pass", value=0.3, **budget), spec=spec, baseline=results(finding("pass", value=0.4, **budget))
            ).exit_code
            == 0
        )
        assert (
            verdict(
                finding("pass", value=0.92, **rows), spec=spec, baseline=results(finding("pass", value=0.99, **rows))
            ).exit_code
            == 1
        )

    def test_a_number_that_became_none_is_a_regression(self) -> None:
        spec = Spec(Gate(regression=0.5))
        outcome = verdict(
            finding("pass", value=float("nan"), interval=None), spec=spec, baseline=results(finding("pass"))
        )
        assert outcome.exit_code == 1

    def test_a_live_waiver_does_not_excuse_a_regression(self) -> None:
        spec = Spec(Gate(regression=0.01), (Waiver(),))
        outcome = verdict(finding("fail", value=0.60), spec=spec, baseline=results(finding("fail", value=0.70)))
        assert [reason.status for reason in outcome.reasons] == ["regression"]

    def test_warn_checks_only_warn(self) -> None:
        spec = Spec(Gate(regression=0.01))
        outcome = verdict(
            finding("pass", value=0.6, severity="warn"), spec=spec, baseline=results(finding("pass", value=0.9))
        )
        assert outcome.status == "passed"
        assert "Regressed" in outcome.warnings[0]

    def test_without_a_tolerance_changes_are_told_and_do_not_block(self) -> None:
        _, outcome, baseline = judge(
            [finding("pass", value=0.6)], Spec(), as_of=TODAY, baseline=results(finding("pass", value=0.9))
        )
        assert outcome.status == "passed"
        assert baseline is not None
        assert baseline.changes[0].worse == pytest.approx(0.3)
        assert baseline.changed == ("a",)

    def test_another_metric_is_not_compared(self) -> None:
        spec = Spec(Gate(regression=0.0))
        before = results(finding("pass", value=0.99, metric="clean_accuracy"))
        assert verdict(finding("pass", value=0.8), spec=spec, baseline=before).status == "passed"

    def test_a_dropped_check_is_told(self) -> None:
        outcome = verdict(finding("pass"), baseline=results(finding("pass"), finding("fail", check="gone")))
        assert outcome.warnings == ("The baseline also held gone, which this spec no longer has.",)

    @given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
    def test_tolerance_is_exact_in_decimals(self, before: int, after: int, tolerance: int) -> None:
        worse = before / 1000 - after / 1000
        assert beyond(worse, tolerance / 1000, before / 1000, after / 1000) == (before - after > tolerance)


def test_precedence_of_exit_codes() -> None:
    order = [130, 2, 3, 5, 1, 4, 0]
    assert sorted(int(code) for code in Exit) == sorted(order)
    for position, code in enumerate(order):
        assert worst(order[position:]) == code
    assert worst([]) is Exit.PASSED


@pytest.mark.parametrize("status", ["pass", "fail", "inconclusive"])
def test_whoever_reads_why_reads_what_is_assumed(status: str) -> None:
    _, verdict, _ = judge([finding(status, assumed=ASSUMED)], Spec(), as_of=TODAY)
    said = verdict.warnings if status == "pass" else [reason.text for reason in verdict.reasons]
    assert any("Assumed, not checked: the constant 2.5 of `features.attention`" in text for text in said)
    _, clean, _ = judge([finding(status)], Spec(), as_of=TODAY)
    assert not any("Assumed" in text for text in (*clean.warnings, *(reason.text for reason in clean.reasons)))
