"""Bias amplification end to end: a skewed model fails, its twin with as many errors passes."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

from auditor.checks.bias.amplification import BiasAmplification
from auditor.checks.bias.rates import Rates, count_rates, largest
from auditor.errors import Undecidable
from auditor.methods.bias import unavoidable_amplification
from auditor.records import Status
from tests.support import make_check, run_check

BUDGET = "budget: {metric: bias_amplification, at_most: 0.1}"


class Lookup(nn.Module):
    """Gives the row whose first input is i the i-th row of logits."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.as_tensor(logits, dtype=torch.float32))

    def forward(self, x):
        return self.logits[x.flatten(1)[:, 0].long()]


class NaiveBayes(nn.Module):
    """Gaussian naive Bayes of two classes, fitted on all rows, in float64."""

    def __init__(self, x, y):
        super().__init__()
        parts = [x[y == number] for number in (0, 1)]
        smoothing = 1e-9 * x.var(0).max()
        self.mean = nn.Parameter(torch.tensor(np.stack([part.mean(0) for part in parts])))
        self.variance = nn.Parameter(torch.tensor(np.stack([part.var(0) + smoothing for part in parts])))
        self.prior = nn.Parameter(torch.tensor([len(part) / len(x) for part in parts], dtype=torch.float64))

    def forward(self, x):
        gap = x.double()[:, None] - self.mean
        return self.prior.log() - 0.5 * (self.variance.log() + gap**2 / self.variance).sum(2)


def judged(predicted, y, body=BUDGET, *, classes=None, **more):
    size = len(classes) if classes else 2
    model = Lookup(np.eye(size)[np.asarray(predicted)])
    x = np.arange(len(y))[:, None]
    return run_check(make_check(BiasAmplification, body), model=model, x=x, y=y, classes=classes, **more)


def imbalanced(n=400):
    return (np.arange(n) < 0.6 * n).astype(int)


def test_a_skewed_model_fails_and_its_balanced_twin_with_as_many_errors_passes():
    y = imbalanced()
    skewed, balanced = y.copy(), y.copy()
    skewed[-100:] = 1
    balanced[:50], balanced[-50:] = 0, 1
    assert (skewed != y).sum() == (balanced != y).sum()
    assert judged(skewed, y).finding.status is Status.FAIL
    assert judged(balanced, y).finding.status is Status.PASS


def test_a_majority_predicted_too_rarely_counts_against_the_budget_too():
    y = imbalanced()
    predicted = y.copy()
    predicted[:100] = 0
    finding = judged(predicted, y).finding
    assert finding.value == -0.25
    assert finding.interval is not None
    assert 0.1 < finding.interval[0] < 0.25 < finding.interval[1]
    assert finding.status is Status.FAIL


def test_two_classes_give_the_signed_value_of_the_majority():
    y = 1 - imbalanced(500)
    predicted = y.copy()
    predicted[-20:] = 0
    result = judged(predicted, y, classes=("benign", "malignant"))
    metrics = result.finding.metrics
    assert metrics["class"] == "benign"
    assert metrics["prior"] == 0.6
    assert metrics["predicted_rate"] == pytest.approx(0.64)
    assert result.finding.value == metrics["bias_amplification"] == pytest.approx(0.04)
    assert result.finding.summary.startswith("benign is predicted on 320 and is the label of 300 of 500 rows")
    assert result.tables["points"].column_names == ["index", "label", "predicted"]
    assert metrics["asymmetry"] is None


def test_more_classes_give_the_largest_size_each_class_in_the_metrics():
    y = np.repeat([0, 1, 2], 200)
    predicted = y.copy()
    predicted[:60] = 1
    predicted[200:210] = 2
    result = judged(predicted, y, classes=("ash", "beech", "cedar"))
    each = result.finding.metrics["per_class_bias_amplification"]
    assert each == pytest.approx({"ash": -0.1, "beech": 50 / 600, "cedar": 10 / 600})
    assert result.finding.value == pytest.approx(0.1)
    assert result.tables["rates"]["class"].to_pylist() == ["ash", "beech", "cedar"]
    assert result.finding.metrics["unavoidable"] is None
    assert result.finding.status is Status.INCONCLUSIVE


def test_a_claim_about_the_sample_has_no_sampling_error():
    y = imbalanced(50)
    predicted = y.copy()
    predicted[-5:] = 1
    finding = judged(predicted, y, "claim: sample\n" + BUDGET).finding
    assert finding.interval == (0.1, 0.1)
    assert finding.status is Status.PASS


def test_the_surplus_that_opens_the_gate_does_open_it_and_one_more_does_not():
    y = imbalanced()
    predicted = y.copy()
    predicted[:10], predicted[-50:] = 0, 1
    text = judged(predicted, y).finding.opens_when
    assert text is not None
    allowed = int(text.split("predicted at most ")[1].split(" ")[0])
    for surplus, status in ((allowed, Status.PASS), (allowed + 2, Status.INCONCLUSIVE)):
        gained = (60 + surplus) // 2
        predicted = y.copy()
        predicted[: 60 - gained], predicted[-gained:] = 0, 1
        assert judged(predicted, y).finding.status is status


def test_rows_without_a_class_may_be_of_any():
    y = imbalanced()
    logits = np.eye(2)[y]
    logits[-100:] = np.nan
    check = make_check(BiasAmplification, BUDGET)
    result = run_check(check, model=Lookup(logits), x=np.arange(400)[:, None], y=y)
    assert result.finding.status is Status.INCONCLUSIVE
    assert result.finding.interval is not None
    assert result.finding.interval[1] >= 0.25
    assert any("100 rows have logits" in limit for limit in result.finding.limits)


def test_too_few_rows_are_told_while_planning_and_just_enough_are_not():
    with pytest.raises(Undecidable, match="25"):
        judged(np.ones(24, int), np.ones(24, int))
    assert judged(np.ones(25, int), np.ones(25, int)).finding.status is Status.PASS


def test_what_is_unavoidable_is_told_apart_where_the_classes_are_normal():
    n, prior, distance = 4000, 0.75, 1.0
    rng = np.random.default_rng(0)
    y = (rng.random(n) < prior).astype(int)
    gap = np.full(3, distance / math.sqrt(3))
    x = rng.normal(size=(n, 3)) + y[:, None] * gap
    best = nn.Linear(3, 2)
    with torch.no_grad():
        best.weight.copy_(torch.tensor(np.stack([0 * gap, gap])))
        best.bias.copy_(torch.tensor([0.0, math.log(prior / (1 - prior)) - distance**2 / 2]))
    metrics = run_check(make_check(BiasAmplification, BUDGET), model=best, x=x, y=y).finding.metrics
    assert metrics["mahalanobis_within"] == pytest.approx(distance, abs=0.12)
    assert metrics["unavoidable"] == pytest.approx(unavoidable_amplification(prior, distance), abs=0.03)
    assert abs(metrics["excess"]) < 0.03
    assert metrics["bias_amplification"] > 0.1


def test_breast_cancer_is_measured_but_not_said_to_be_unavoidable():
    x, y = load_breast_cancer(return_X_y=True)
    finding = run_check(make_check(BiasAmplification, BUDGET), model=NaiveBayes(x, y), x=x, y=y).finding
    assert finding.value == pytest.approx(0.0228, abs=1e-4)
    assert finding.metrics["mahalanobis_within"] == pytest.approx(3.824, abs=1e-3)
    assert finding.metrics["mahalanobis_total"] == pytest.approx(1.818, abs=1e-3)
    assert finding.metrics["unavoidable"] is None
    assert finding.metrics["excess"] is None
    assert any("theorem 9.1 does not apply" in limit for limit in finding.limits)
    assert finding.status is Status.PASS


def test_a_filter_that_leaves_nothing_decides_nothing():
    y = imbalanced(50)
    finding = judged(y, y, "where: {correct: false}\n" + BUDGET).finding
    assert finding.status is Status.INCONCLUSIVE
    assert finding.value is None
    assert finding.interval is None


@pytest.mark.parametrize("flipped", [0.0, 0.3])
def test_bounds_of_the_largest_size_miss_as_rarely_as_they_say(flipped):
    """Labels uniform over three classes, a fifth of the predictions drawn anew, class 0 then flipped to 1."""
    rng = np.random.default_rng(0)
    trials, above, below = 800, 0, 0
    truth = flipped * 14 / 45
    for _ in range(trials):
        y = rng.integers(0, 3, 300)
        predicted = np.where(rng.random(300) < 0.2, rng.integers(0, 3, 300), y)
        predicted[(y == 0) & (rng.random(300) < flipped)] = 1
        low, high = largest(count_rates(y, predicted, ("a", "b", "c")), 0.95)
        above += low > truth
        below += high < truth
    most = 0.05 * trials + 3 * math.sqrt(0.05 * 0.95 * trials)
    assert above <= most
    assert below <= most


def test_the_lower_bound_is_zero_where_the_sign_is_open():
    low, high = Rates("a", rows=100, labelled=50, gained=6, lost=5).size(0.95, questions=1)
    assert low == 0
    assert 0.01 < high < 0.1
