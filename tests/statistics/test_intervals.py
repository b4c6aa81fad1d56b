"""Coverage by enumeration: every outcome weighted with its exact probability."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from auditor.statistics import clopper_pearson, clopper_pearson_bounds, difference, dkw_radius, paired_difference


@pytest.mark.parametrize("trials", [1, 5, 23, 60])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_clopper_pearson_never_misses_more_often_than_it_says(trials, confidence):
    k = np.arange(trials + 1)
    low, high = clopper_pearson_bounds(k, trials, confidence=confidence)
    rates = np.linspace(0.001, 0.999, 400)[:, None]
    chance = binom.pmf(k, trials, rates)
    assert (chance * (low > rates)).sum(1).max() <= 1 - confidence + 1e-12
    assert (chance * (high < rates)).sum(1).max() <= 1 - confidence + 1e-12


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))))
def test_clopper_pearson_ends_where_the_tail_is_what_confidence_leaves(counts):
    k, n = counts
    low = clopper_pearson(k, n, confidence=0.95).low
    assert binom.sf(k - 1, n, low) == pytest.approx(0.05, rel=1e-6)
    assert clopper_pearson(n - k, n, confidence=0.95).high == pytest.approx(1 - low, abs=1e-9)


def test_clopper_pearson_at_the_ends():
    assert clopper_pearson(0, 20, confidence=0.95) == pytest.approx((0, 1 - 0.05 ** (1 / 20)))
    assert clopper_pearson(20, 20, confidence=0.95) == pytest.approx((0.05 ** (1 / 20), 1))
    assert clopper_pearson(0, 0, confidence=0.95) == (0, 1)
    with pytest.raises(ValueError, match="3 successes of 2 trials"):
        clopper_pearson(3, 2, confidence=0.95)


@pytest.mark.parametrize(("m", "n"), [(20, 20), (40, 50), (12, 80)])
def test_difference_misses_no_more_often_than_it_says(m, n):
    ends = np.array([[difference(x, m, y, n, confidence=0.95) for y in range(n + 1)] for x in range(m + 1)])
    for p, q in [(0.5, 0.5), (0.1, 0.1), (0.02, 0.02), (0.6, 0.5), (0.9, 0.6), (0.2, 0.1), (0.5, 0.8), (0.97, 0.97)]:
        chance = np.outer(binom.pmf(np.arange(m + 1), m, p), binom.pmf(np.arange(n + 1), n, q))
        above, below = chance[ends[..., 0] > p - q + 1e-9].sum(), chance[ends[..., 1] < p - q - 1e-9].sum()
        assert max(above, below) <= 0.05
        if min(p, q) >= 0.2 and max(p, q) <= 0.8:
            assert max(above, below) >= 0.01


@pytest.mark.parametrize(("gain", "lose"), [(0.1, 0.1), (0.2, 0.1), (0.05, 0.15), (0.3, 0.3)])
def test_paired_difference_misses_about_as_often_as_it_says(gain, lose):
    n = 60
    below = above = 0.0
    for gained in range(n + 1):
        for lost in range(n + 1 - gained):
            rest = n - gained - lost
            weight = math.exp(
                math.lgamma(n + 1) - math.lgamma(gained + 1) - math.lgamma(lost + 1) - math.lgamma(rest + 1)
                + gained * math.log(gain) + lost * math.log(lose) + rest * math.log(1 - gain - lose)
            )  # fmt: skip
            if weight > 1e-5:
                low, high = paired_difference(gained, lost, n, confidence=0.95)
                below += weight * (high < gain - lose)
                above += weight * (low > gain - lose)
    assert 0.02 <= below <= 0.07
    assert 0.02 <= above <= 0.07


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 40))
def test_paired_difference_is_antisymmetric_and_holds_what_was_observed(gained, lost, rest):
    n = gained + lost + rest
    low, high = paired_difference(gained, lost, n, confidence=0.95)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert paired_difference(lost, gained, n, confidence=0.95) == pytest.approx((-high, -low), abs=1e-9)


def test_paired_difference_without_disagreement_keeps_a_width():
    z = 1.6448536269514722
    assert paired_difference(0, 0, 100, confidence=0.95).high == pytest.approx(z**2 / (100 + z**2))


def test_difference_of_flawless_rates_keeps_a_width():
    low, high = difference(20, 20, 20, 20, confidence=0.95)
    assert low == pytest.approx(-high)
    assert 0.05 < high < 0.2


@pytest.mark.parametrize(
    "interval", [difference(0, 0, 1, 2, confidence=0.95), paired_difference(0, 0, 0, confidence=0.9)]
)
def test_no_rows_say_nothing(interval):
    assert interval == (-1, 1)


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="3 of 2"):
        difference(3, 2, 1, 2, confidence=0.95)
    with pytest.raises(ValueError, match="2 gained and 2 lost of 3"):
        paired_difference(2, 2, 3, confidence=0.95)


def test_the_dkw_band_leaves_the_truth_as_rarely_as_it_says():
    rng = np.random.default_rng(0)
    n, trials = 50, 4000
    drawn = np.sort(rng.random((trials, n)), axis=1)
    steps = np.arange(n + 1) / n
    gap = np.maximum((steps[1:] - drawn).max(1), (drawn - steps[:-1]).max(1))
    missed = (gap > dkw_radius(n, confidence=0.95)).mean()
    assert 0.02 <= missed <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)
    assert dkw_radius(0, confidence=0.95) == 1
