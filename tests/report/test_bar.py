"""The interval bar: everything on the track, hatching on the side that does not pass."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from auditor.records import EvidenceKind, Finding, Status
from auditor.report.bar import demand, interval_bar, spoken


def finding(**fields: Any) -> Finding:
    base: dict[str, Any] = {"check": "a", "type": "x.y", "status": Status.PASS, "evidence_kind": EvidenceKind.MEASURED}
    return Finding(**{**base, "claim": "c", "metric": "vra", **fields})


numbers = st.floats(-1e6, 1e6)


@given(numbers, numbers, numbers, numbers, st.sampled_from(["at_least", "at_most"]))
def test_what_is_known_lies_on_the_track_in_order(
    value: float, low: float, high: float, limit: float, side: str
) -> None:
    low, value, high = sorted((low, value, high))
    bar = interval_bar(finding(value=value, interval=(low, high), threshold={side: limit}))
    assert bar is not None
    assert bar.interval is not None
    assert bar.point is not None
    assert bar.threshold is not None
    assert bar.bad is not None
    assert 0 <= bar.interval[0] <= bar.point + 1e-9
    assert bar.point <= sum(bar.interval) + 1e-9 <= 100 + 1e-6
    assert 0 <= bar.threshold <= 100
    assert bar.bad == ((0.0, bar.threshold) if side == "at_least" else (bar.threshold, 100 - bar.threshold))


def test_nothing_measured_has_no_bar() -> None:
    assert interval_bar(finding(threshold={"at_least": 0.5})) is None


def test_infinite_ends_stop_at_the_edge() -> None:
    bar = interval_bar(finding(value=0.2, interval=(float("-inf"), float("inf")), threshold={"at_most": 0.5}))
    assert bar is not None
    assert bar.interval == (0.0, 100.0)


def test_a_share_of_rows_is_compared_with_the_share() -> None:
    asked = demand(finding(threshold={"at_most": 0.3, "for_at_least": 0.9}))
    assert asked is not None
    assert (asked.limit, asked.at_least, asked.long) == (0.9, True, "required ≥ 0.90")
    every = demand(finding(threshold={"at_most": 0.3, "for": "all"}))
    assert every is not None
    assert every.limit == 1.0


def test_in_words() -> None:
    measured = finding(value=0.751, interval=(0.738, 0.763), threshold={"at_least": 0.73})
    assert spoken(measured) == "VRA 0.751, interval 0.738 to 0.763, required at least 0.73: pass"
