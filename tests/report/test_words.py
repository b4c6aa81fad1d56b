"""Numbers read as what they are, and never as their threshold when they are not it."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from auditor.report import words


def read(text: str) -> float:
    return float(text.replace(",", "").replace(words.MINUS, "-"))


@given(st.floats(-1e9, 1e9))
def test_a_number_is_read_back(value: float) -> None:
    assert math.isclose(read(words.number(value)), value, rel_tol=0.006, abs_tol=0.0005)


@given(st.floats(0.001, 1), st.floats(-1e-4, 1e-4))
def test_a_value_beside_its_threshold_does_not_read_like_it(limit: float, off: float) -> None:
    limit = round(limit, 3)
    value = limit + off
    if abs(off) > 1e-8:
        assert read(words.number(value, apart_from=limit)) != limit


def test_examples() -> None:
    assert words.number(None) == "–"
    assert words.number(-0.0348) == "−0.035"
    assert words.number(0.0152) == "0.0152"
    assert words.number(0.7299999, apart_from=0.73) == "0.7299999"
    assert words.number(0.73, apart_from=0.73) == "0.730"
    assert words.number(4500) == "4,500"
    assert words.number(math.inf) == "∞"
    assert words.number("nan") == "undefined"
    assert words.exact(0.1) == "0.10"
    assert words.exact(0.141) == "0.141"
    assert words.change(0.03) == "+0.030"
    assert words.duration(2212) == "36\u202fmin 52\u202fs"
    assert words.date("2026-11-24T09:00:00+00:00") == "24 November 2026"
    assert words.date("soon") == "soon"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.metric_name("tpr_at_1pct_fpr") == "TPR at 1\u202f% FPR"
    assert words.plainly({"gloro": {"epsilon": 0.5, "loss": {}}}) == "gloro (epsilon 0.5, loss)"
