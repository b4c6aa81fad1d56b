"""Definition 9.1 and theorem 9.1 against counts, Monte Carlo and the data of the thesis's table 9.2."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer
from sklearn.naive_bayes import GaussianNB

from auditor.methods.bias import (
    bias_amplification,
    diagnose,
    mahalanobis_total,
    mahalanobis_within,
    unavoidable_amplification,
)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_amplifications_of_all_classes_cancel(pairs):
    label, predicted = np.array(pairs).T
    each = [bias_amplification(label, predicted, of=number) for number in range(4)]
    assert sum(each) == pytest.approx(0, abs=1e-12)
    assert each[2] == pytest.approx(sum((f == 2) - (y == 2) for y, f in pairs) / len(pairs))


@pytest.mark.parametrize(
    ("prior", "distance"), [(0.5, 1.0), (0.6, 0.4), (0.75, 0.5), (0.75, 2.0), (0.9, 1.5), (0.3, 1.0)]
)
def test_theorem_9_1_agrees_with_monte_carlo(prior, distance):
    n = 200_000
    rng = np.random.default_rng(0)
    label = rng.random(n) < prior
    x = rng.normal(size=(n, 4))
    x[label] += distance / 2
    log_odds = (distance / 2) * (x.sum(1) - distance) + math.log(prior / (1 - prior))
    drawn = (log_odds > 0).astype(float) - label
    assert abs(drawn.mean() - unavoidable_amplification(prior, distance)) <= 3 * drawn.std() / math.sqrt(n)


@given(st.floats(0.001, 0.999), st.floats(0.01, 20))
def test_the_other_class_loses_what_one_gains_and_only_a_majority_gains(prior, distance):
    gained = unavoidable_amplification(prior, distance)
    assert gained == pytest.approx(-unavoidable_amplification(1 - prior, distance), abs=1e-9)
    assert gained >= -1e-12 if prior >= 0.5 else gained <= 1e-12


def test_limits_of_theorem_9_1():
    assert unavoidable_amplification(0.7, 0.0) == pytest.approx(0.3)
    assert unavoidable_amplification(0.3, 0.0) == pytest.approx(-0.3)
    assert unavoidable_amplification(0.7, 1e-3) == pytest.approx(0.3)
    assert unavoidable_amplification(0.7, math.inf) == 0
    assert unavoidable_amplification(0.5, 0.1) == 0
    with pytest.raises(ValueError, match="prior"):
        unavoidable_amplification(1.2, 1.0)
    with pytest.raises(ValueError, match="distance"):
        unavoidable_amplification(0.5, math.nan)


def test_breast_cancer_under_gaussian_naive_bayes():
    x, y = load_breast_cancer(return_X_y=True)
    predicted = GaussianNB().fit(x, y).predict(x)
    assert round(100 * float((predicted == y).mean()), 2) == 94.20
    assert round(bias_amplification(y, predicted), 4) == 0.0228
    assert round(mahalanobis_within(x, y), 3) == 3.824
    assert round(mahalanobis_total(x, y), 3) == 1.818
    assert not diagnose(x, y).fits


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_distances_ignore_units_and_keep_their_known_relation(seed):
    rng = np.random.default_rng(seed)
    y = np.arange(60) % 3 % 2
    x = rng.normal(size=(60, 4)) + y[:, None]
    within = mahalanobis_within(x, y)
    moved = x @ rng.normal(size=(4, 4)) * [1e6, 1.0, 1e-6, 3.0] + 7
    assert mahalanobis_within(moved, y) == pytest.approx(within, rel=1e-5)
    n, p = len(y), y.mean()
    a = within**2 / (n - 2)
    assert mahalanobis_total(x, y) == pytest.approx(math.sqrt((n - 1) * a / (1 + n * p * (1 - p) * a)))


def test_a_feature_that_separates_without_spread_is_infinitely_far_and_a_constant_one_adds_nothing():
    rng = np.random.default_rng(1)
    y = np.arange(40) % 2
    x = rng.normal(size=(40, 2))
    assert mahalanobis_within(np.c_[x, y], y) == math.inf
    assert mahalanobis_within(np.c_[x, np.ones(40)], y) == pytest.approx(mahalanobis_within(x, y))
    assert mahalanobis_within(np.c_[x, x[:, 0] - x[:, 1]], y) == pytest.approx(mahalanobis_within(x, y))


def normal_classes(seed, n=300, features=3):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.7).astype(int)
    return rng.normal(size=(n, features)) + y[:, None] * 0.8, y


def test_the_diagnosis_keeps_classes_that_fit_about_as_often_as_it_says():
    kept = sum(diagnose(*normal_classes(seed)).fits for seed in range(200))
    assert kept >= 180


def test_the_diagnosis_rejects_skew_unequal_variance_and_dependence():
    x, y = normal_classes(0)
    skewed, dependent, unequal = np.exp(x), x.copy(), x.copy()
    dependent[:, 2] += dependent[:, 1]
    unequal[y == 1, 0] *= 3
    for broken, word in ((skewed, "normality"), (dependent, "independence"), (unequal, "variance")):
        found = diagnose(broken, y)
        assert not found.fits
        assert word in found.reason


def test_the_diagnosis_needs_rows_and_spread():
    x, y = normal_classes(0, n=30)
    assert "fewer than 20" in diagnose(x, y).reason
    x, y = normal_classes(0)
    x[:, 0] = 1.0
    assert "constant" in diagnose(x, y).reason
