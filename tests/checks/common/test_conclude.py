"""The verdict rule of the contract, on either side and at its edges."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.checks.common.conclude import decide
from auditor.records import Status

INTERVALS = st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(lambda ends: (min(ends), max(ends)))


@given(INTERVALS, st.floats(-1, 1))
def test_an_interval_passes_fails_or_holds_the_threshold(interval, threshold):
    low, high = interval
    at_least, at_most = decide(interval, at_least=threshold), decide(interval, at_most=threshold)
    assert (at_least is Status.PASS) == (low >= threshold)
    assert (at_least is Status.FAIL) == (high < threshold)
    assert (at_most is Status.PASS) == (high <= threshold)
    assert (at_most is Status.FAIL) == (low > threshold)


def test_touching_the_threshold_passes_and_nan_decides_nothing():
    assert decide((0.5, 0.5), at_least=0.5) is Status.PASS
    assert decide((0.5, 0.5), at_most=0.5) is Status.PASS
    assert decide((math.nan, math.nan), at_least=0.5) is Status.INCONCLUSIVE
    assert decide((math.nan, math.nan), at_most=0.5) is Status.INCONCLUSIVE


@pytest.mark.parametrize("bounds", [{}, {"at_least": 0.1, "at_most": 0.9}])
def test_no_bound_and_two_bounds_are_refused(bounds):
    with pytest.raises(ValueError, match="one bound decides"):
        decide((0, 1), **bounds)
