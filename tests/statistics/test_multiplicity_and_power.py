"""Corrections and power against brute force, and the figures that the design states."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.statistics import (
    bonferroni,
    clopper_pearson,
    holm,
    points_needed,
    reach,
    successes_allowed,
    successes_to_pass,
    trials_needed,
    trials_to_decide,
)

RATES = st.floats(0.01, 0.99)


def test_points_needed_are_the_figures_of_the_design():
    assert points_needed(0.05, confidence=0.95) == 1237
    assert points_needed(0.05, confidence=0.95, attacks=5) == 2306
    assert points_needed(0.1, confidence=0.95) == 310
    with pytest.raises(ValueError, match="never passes"):
        points_needed(0.05, confidence=0.95, true=0.05)


def test_points_needed_do_pass_as_often_as_they_promise():
    rng = np.random.default_rng(0)
    n = points_needed(0.1, confidence=0.95)
    p, q = rng.binomial(n, 0.5, (2, 20_000)) / n
    upper = p - q + 1.6449 * np.sqrt(0.5 / n)
    assert (upper <= 0.1).mean() == pytest.approx(0.8, abs=0.02)


def test_reach_names_a_difference_that_passes_and_one_that_fails():
    found = reach(1237, 0.05, confidence=0.95)
    assert found.passes == pytest.approx(0.0, abs=2e-3)
    assert found.fails == pytest.approx(0.1, abs=2e-3)
    assert reach(50, 0.05, confidence=0.95).passes is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), RATES)
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, level):
    rejected = set()
    for step, number in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[number] * (len(p_values) - step) > level:
            break
        rejected.add(number)
    assert {i for i, p in enumerate(holm(p_values)) if p <= level} == rejected


def test_holm_on_a_known_case():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_bonferroni_splits_what_confidence_leaves():
    assert bonferroni(0.95, 1) == pytest.approx(0.95)
    assert bonferroni(0.95, 10) == pytest.approx(0.995)
    with pytest.raises(ValueError, match="0 questions"):
        bonferroni(0.95, 0)


@given(st.integers(1, 120), RATES)
def test_counts_that_pass_are_those_of_a_search(trials, threshold):
    bounds = [clopper_pearson(k, trials, confidence=0.95) for k in range(trials + 1)]
    wanted = [k for k, b in enumerate(bounds) if b.low >= threshold]
    allowed = [k for k, b in enumerate(bounds) if b.high <= threshold]
    assert successes_to_pass(trials, threshold, confidence=0.95) == (min(wanted) if wanted else None)
    assert successes_allowed(trials, threshold, confidence=0.95) == (max(allowed) if allowed else None)


@given(RATES)
def test_trials_needed_are_enough_and_one_fewer_is_not(threshold):
    n = trials_needed(at_least=threshold, confidence=0.95)
    assert n is not None
    assert clopper_pearson(n, n, confidence=0.95).low >= threshold - 1e-9
    assert n == 1 or clopper_pearson(n - 1, n - 1, confidence=0.95).low < threshold
    assert trials_needed(at_most=1 - threshold, confidence=0.95) in (n - 1, n, n + 1)


def test_trials_needed_where_none_or_nothing_suffices():
    assert trials_needed(at_least=0.9, confidence=0.95) == 29
    assert trials_needed(at_least=1.0, confidence=0.95) is None
    assert trials_needed(at_least=0.0, confidence=0.95) == 0
    assert trials_needed(at_most=0.0, confidence=0.95) is None


def test_trials_to_decide_put_the_interval_on_its_side():
    n = trials_to_decide(0.92, 0.9, confidence=0.95)
    assert n is not None
    assert clopper_pearson(round(0.92 * 1.25 * n), round(1.25 * n), confidence=0.95).low > 0.9
    assert clopper_pearson(round(0.92 * 0.75 * n), round(0.75 * n), confidence=0.95).low < 0.9
    assert trials_to_decide(0.9, 0.9, confidence=0.95) is None
