"""Accuracy end to end: what is right is counted, what is not a number is wrong, and the interval decides."""

import numpy as np
import pytest
import torch
from torch import nn

from auditor.checks.quality.accuracy import Accuracy
from auditor.errors import Undecidable
from auditor.records import Status
from auditor.statistics import clopper_pearson
from tests.support import make_check, run_check


class Table(nn.Module):
    """Gives the row whose only input is i the i-th row of logits."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.as_tensor(logits, dtype=torch.float32))

    def forward(self, x):
        return self.logits[x[:, 0].long()]


def predicting(predicted, classes=2):
    return Table(np.eye(classes)[np.asarray(predicted)])


def judged(model, y, body="require: {metric: accuracy, at_least: 0.9}", **more):
    return run_check(make_check(Accuracy, body), model=model, x=np.arange(len(y))[:, None], y=y, **more)


def labels(n=400):
    return np.arange(n) % 2


def wrong_on(y, count):
    predicted = y.copy()
    predicted[:count] = 1 - predicted[:count]
    return predicted


def test_an_inaccurate_model_fails_and_its_accurate_twin_passes():
    y = labels()
    assert judged(predicting(wrong_on(y, 20)), y).finding.status is Status.PASS
    assert judged(predicting(wrong_on(y, 80)), y).finding.status is Status.FAIL
    assert judged(predicting(wrong_on(y, 38)), y).finding.status is Status.INCONCLUSIVE


def test_numbers_interval_and_points_are_those_of_the_rows():
    y = np.array([0] * 30 + [1] * 60 + [2] * 10)
    predicted = y.copy()
    predicted[:6], predicted[95:] = 1, 0
    result = judged(predicting(predicted, 3), y, classes=("ash", "beech", "cedar"))
    finding = result.finding
    assert finding.value == finding.metrics["accuracy"] == 0.89
    assert finding.interval == clopper_pearson(89, 100, confidence=0.95)
    assert finding.metrics["per_class_accuracy"] == {"ash": 0.8, "beech": 1.0, "cedar": 0.5}
    assert "89 of 100" in finding.summary
    assert "cedar" in finding.summary
    points = result.tables["points"]
    assert points.column_names == ["index", "label", "predicted"]
    assert points["predicted"].to_pylist() == predicted.tolist()
    assert result.tables["classes"]["class"].to_pylist() == ["cedar", "ash", "beech"]
    shares = {(r["label"], r["predicted"]): r["share"] for r in result.tables["confusions"].to_pylist()}
    assert shares["cedar", "ash"] == 0.5
    assert shares["ash", "beech"] == 0.2
    assert shares["beech", "beech"] == 1.0


@pytest.mark.parametrize(
    "threshold", ["require: {metric: accuracy, at_least: 0.9}", "budget: {metric: accuracy, at_most: 0.9}"]
)
def test_the_count_that_opens_the_gate_does_open_it_and_one_short_does_not(threshold):
    y = labels(200)
    at_least = "at_least" in threshold
    text = judged(predicting(wrong_on(y, 50 if at_least else 0)), y, threshold).finding.opens_when
    assert text is not None
    wanted = int(text.split(" ")[2])
    short = wanted - 1 if at_least else wanted + 1
    assert judged(predicting(wrong_on(y, 200 - wanted)), y, threshold).finding.status is Status.PASS
    assert judged(predicting(wrong_on(y, 200 - short)), y, threshold).finding.status is Status.INCONCLUSIVE


def test_a_claim_about_the_sample_has_no_sampling_error():
    y = labels(10)
    body = "claim: sample\nrequire: {metric: accuracy, at_least: 0.9}"
    met, missed = (judged(predicting(wrong_on(y, wrong)), y, body).finding for wrong in (1, 2))
    assert met.status is Status.PASS
    assert met.interval == (0.9, 0.9)
    assert met.opens_when is None
    assert missed.status is Status.FAIL
    assert "at least 9 of 10" in str(missed.opens_when)


def test_logits_that_are_not_numbers_are_wrong_and_said():
    y = labels(100)
    logits = np.eye(2)[y]
    logits[[3, 7], [0, 1]] = np.nan
    result = judged(Table(logits), y)
    assert result.finding.value == 0.98
    assert "2 of them have logits that are not numbers" in result.finding.summary
    assert result.tables["points"]["predicted"].to_pylist()[3] is None


def test_equal_logits_go_to_the_lowest_index():
    y = np.zeros(100, int)
    assert judged(Table(np.zeros((100, 3))), y).finding.value == 1.0


def test_a_filter_that_leaves_nothing_decides_nothing():
    y = np.zeros(50, int)
    body = "where: {correct: false}\nrequire: {metric: accuracy, at_least: 0.5}"
    finding = judged(predicting(y), y, body).finding
    assert finding.status is Status.INCONCLUSIVE
    assert finding.value is None
    assert finding.interval is None


def test_too_few_rows_are_told_while_planning_and_just_enough_are_not():
    y = np.zeros(28, int)
    with pytest.raises(Undecidable, match="29"):
        judged(predicting(y), y)
    y = np.zeros(29, int)
    assert judged(predicting(y), y).finding.status is Status.PASS
