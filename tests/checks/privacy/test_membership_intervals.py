"""Intervals beside the verdict: they keep a width where resampling has none, and a fail is not told as a pass."""

import numpy as np
import pytest
import torch

from auditor.checks.privacy.membership import Membership, Sides
from auditor.checks.privacy.membership_judgement import area, membership_judgement
from auditor.records import Status
from auditor.statistics import clopper_pearson
from tests.support import make_check

MEMBER = np.arange(80) < 40


def audited(hits, alarms, n=400):
    member = torch.arange(2 * n) < n
    score = torch.zeros(2 * n, dtype=torch.float64)
    score[:hits], score[n : n + alarms] = 1, 1
    body = "members: train\nattacks: [naive]\nover: test\nbudget: {metric: advantage, at_most: 0.1}\n"
    return membership_judgement(make_check(Membership, body), Sides({"naive": score}, member, member.long())).finding


@pytest.mark.parametrize(("sign", "ends"), [(1, clopper_pearson(40, 40, confidence=0.95)), (-1, (0.0, 0.0722))])
def test_full_separation_keeps_a_width(sign, ends):
    scores = np.random.default_rng(0).normal(size=80) + 40 * sign * MEMBER
    observed, interval = area(scores, MEMBER, confidence=0.95, seed=0)
    assert observed == (sign > 0)
    assert interval == pytest.approx(ends, abs=1e-4)


def test_the_area_of_a_decision_has_the_interval_of_its_advantage():
    metrics = audited(400, 400).metrics
    low, high = metrics["naive.advantage_interval"]
    assert metrics["naive.auc_interval"] == pytest.approx([(1 + low) / 2, (1 + high) / 2])
    assert high > 0.005


def test_an_infinite_score_keeps_its_place():
    scores = np.r_[np.full(10, np.inf), np.linspace(0, 1, 70)]
    assert (
        area(scores, MEMBER, confidence=0.95, seed=0)[0]
        == area(np.r_[np.full(10, 2.0), scores[10:]], MEMBER, confidence=0.95, seed=0)[0]
    )


@pytest.mark.parametrize(
    ("hits", "status", "words"),
    [
        (200, Status.PASS, "budget was found"),
        (240, Status.INCONCLUSIVE, "shown or ruled out"),
        (320, Status.FAIL, "below"),
    ],
)
def test_what_is_not_shown_follows_the_verdict(hits, status, words):
    finding = audited(hits, 200)
    assert finding.status is status
    assert words in finding.limits[0]


def test_only_an_attack_that_ranks_rows_has_a_rate_at_one_percent():
    n = 1000
    member = torch.arange(2 * n) < n
    scores = torch.randn(2 * n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    body = "members: train\nover: test\nbudget: {metric: advantage, at_most: 0.1}\n"
    sides = Sides({"naive": (scores > 0).double(), "loss": scores}, member, member.long())
    metrics = membership_judgement(make_check(Membership, body), sides).finding.metrics
    low, high = metrics["loss.tpr_at_1pct_fpr_interval"]
    assert low <= metrics["loss.tpr_at_1pct_fpr"] <= high
    assert low <= 0.01 <= high
    assert metrics["naive.tpr_at_1pct_fpr"] is None
