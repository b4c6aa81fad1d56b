"""The rate beyond a far quantile, against closed forms: bounds that count the uncertain threshold in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from auditor.statistics import tail_rate


@pytest.mark.parametrize("shift", [0.0, 0.8, 2.5])
def test_bounds_miss_no_more_often_than_they_say(shift):
    """At most 5 % an end of 1,000 draws, give or take three standard deviations of that count."""
    true, n, trials = norm.sf(norm.isf(0.01) - shift), 1000, 1000
    rng = np.random.default_rng(0)
    above = below = 0
    for _ in range(trials):
        found = tail_rate(rng.normal(shift, size=n), rng.normal(size=n), tail=0.01, confidence=0.95)
        assert found is not None
        above += found.interval.low > true
        below += found.interval.high < true
    most = 0.05 * trials + 3 * (0.05 * 0.95 * trials) ** 0.5
    assert above <= most
    assert below <= most


def test_many_rows_give_the_true_rate():
    rng = np.random.default_rng(1)
    found = tail_rate(rng.normal(2, size=400_000), rng.normal(size=400_000), tail=0.01, confidence=0.95)
    assert found is not None
    true = norm.sf(norm.isf(0.01) - 2)
    assert found.value == pytest.approx(true, abs=0.01)
    assert found.interval.low < true < found.interval.high
    assert found.interval.high - found.interval.low < 0.03


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_value_lies_in_its_interval_ties_or_not(seed, levels, tail):
    rng = np.random.default_rng(seed)
    inside, outside = rng.integers(levels, size=37), rng.integers(levels, size=1000)
    found = tail_rate(inside, outside, tail=tail, confidence=0.95)
    assert found is not None
    assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1


def test_equal_scores_cannot_speak_of_a_far_tail():
    found = tail_rate(np.zeros(500), np.zeros(1000), tail=0.01, confidence=0.95)
    assert found == (0.0, (0.0, 1.0))


def test_separated_samples_are_told_apart():
    found = tail_rate(np.arange(500) + 1e4, np.arange(1000), tail=0.01, confidence=0.95)
    assert found is not None
    assert found.value == 1.0
    assert found.interval.low > 0.99
    assert found.interval.high == 1.0


def test_too_few_rows_to_have_such_a_tail_give_nothing():
    assert tail_rate(np.zeros(10), np.zeros(999), tail=0.01, confidence=0.95) is None
    assert tail_rate(np.zeros(10), np.zeros(1000), tail=0.01, confidence=0.95) is not None
    assert tail_rate([], np.zeros(1000), tail=0.01, confidence=0.95) is None
    with pytest.raises(ValueError, match="NaN"):
        tail_rate([np.nan], np.zeros(1000), tail=0.01, confidence=0.95)
