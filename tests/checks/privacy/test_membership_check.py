"""Membership end to end: a memorised model is caught, its clean twin passes, and chance is not called a leak."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from auditor.checks.privacy import membership_judgement as judgement
from auditor.checks.privacy.membership import Membership, Sides
from auditor.checks.privacy.membership_judgement import Attacked, area, attack_on, membership_judgement, precision_of
from auditor.errors import NotAvailable, Undecidable
from auditor.records import Status
from auditor.statistics import Interval, bonferroni, difference
from tests.support import make_check, run_check

BODY = "members: train\nattacks: [naive, loss]\nbudget: {metric: advantage, at_most: 0.15}\n"


def rows(count: int, seed: int, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Two Gaussian classes in 20 dimensions; a share `noise` of the labels is random."""
    draw = np.random.default_rng(seed)
    y = draw.integers(0, 2, count)
    x = draw.normal(size=(count, 20)).astype("float32")
    x[:, 0] += 2.5 * (2 * y - 1)
    flipped = draw.random(count) < noise
    y[flipped] = draw.integers(0, 2, int(flipped.sum()))
    return x, y


def fitted(x: np.ndarray, y: np.ndarray, *, width: int, steps: int) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, width), nn.ReLU(), nn.Linear(width, 2)) if width else nn.Linear(20, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    return model


@pytest.fixture(scope="module")
def data():
    return rows(500, seed=0), rows(500, seed=1)


def judged(model, data, body=BODY, **more):
    (x, y), (other, labels) = data
    return run_check(make_check(Membership, body), model=model, x=other, y=labels, train=(x, y), **more)


def test_a_memorised_model_fails_and_its_clean_twin_passes(data):
    memorised = judged(fitted(*data[0], width=256, steps=400), data)
    clean = judged(fitted(*data[0], width=0, steps=200), data)
    assert memorised.finding.status is Status.FAIL
    assert clean.finding.status is Status.PASS
    assert memorised.finding.metrics["worst_attack"] in ("naive", "loss")
    assert memorised.finding.metrics["loss.auc"] > 0.6
    assert memorised.tables["points"].column_names == ["index", "member", "score_naive", "score_loss"]
    assert memorised.tables["points"].num_rows == 1000
    assert memorised.finding.power is not None
    assert "500 points a side" in memorised.finding.power


def test_metrics_are_consistent_with_each_other(data):
    finding = judged(fitted(*data[0], width=256, steps=400), data).finding
    for attack in ("naive", "loss"):
        advantage = finding.metrics[f"{attack}.advantage"]
        low, high = finding.metrics[f"{attack}.advantage_interval"]
        assert low <= advantage <= high
        assert finding.metrics[f"{attack}.accuracy"] == pytest.approx((1 + advantage) / 2)
        assert 0 <= finding.metrics[f"{attack}.precision"] <= 1
        assert finding.metrics[f"{attack}.tpr_at_1pct_fpr"] is None, "500 non-members cannot speak of 1 % FPR"
    worst = finding.metrics["worst_attack"]
    assert finding.value == finding.metrics[f"{worst}.advantage"]


def test_members_are_sampled_to_the_number_of_non_members(data):
    (x, y), (other, labels) = data
    judgement = judged(fitted(x, y, width=0, steps=5), ((x, y), (other[:100], labels[:100])))
    member = judgement.tables["points"]["member"].to_numpy()
    index = judgement.tables["points"]["index"].to_numpy()
    assert member.sum() == 100
    assert len(set(index[member])) == 100
    assert index[member].max() > 100


def test_the_naive_attack_measures_the_generalisation_gap(data):
    model = fitted(*data[0], width=256, steps=400)
    finding = judged(model, data, BODY.replace("[naive, loss]", "[naive]")).finding
    with torch.no_grad():
        inside, outside = (float((model(torch.from_numpy(x)).argmax(1).numpy() == y).mean()) for x, y in data)
    assert finding.value == pytest.approx(inside - outside)


def sides(hits: dict[str, int], alarms: dict[str, int], n: int) -> Sides:
    member = torch.arange(2 * n) < n
    scores = {}
    for name in hits:
        score = torch.zeros(2 * n, dtype=torch.float64)
        score[: hits[name]] = 1
        score[n : n + alarms[name]] = 1
        scores[name] = score
    return Sides(scores, member, torch.arange(2 * n))


@pytest.mark.parametrize("hits", [500, 520, 560, 600, 640, 700])
def test_the_verdict_is_the_union_of_intersections(hits):
    """Pass iff every upper bound is within the budget, fail iff some corrected lower bound is above it."""
    check = make_check(Membership, BODY)
    names = ("naive", "loss")
    case = sides({"naive": hits, "loss": 500}, {"naive": 500, "loss": 500}, 1000)
    finding = membership_judgement(check, case).finding
    uppers = [finding.metrics[f"{name}.advantage_interval"][1] for name in names]
    low = difference(hits, 1000, 500, 1000, confidence=bonferroni(0.95, 2)).low
    expected = Status.PASS if max(uppers) <= 0.15 else Status.FAIL if low > 0.15 else Status.INCONCLUSIVE
    assert finding.status is expected


def test_a_fail_by_another_attack_than_the_worst_shows_the_bound_that_decided():
    """Rates of 0 narrow an interval: `naive` leaks surely but little, `loss` is so wide that it may leak more."""
    budget = 0.004
    check = make_check(Membership, BODY.replace("0.15", str(budget)))
    case = sides({"naive": 12, "loss": 55}, {"naive": 0, "loss": 45}, 100)
    attacks = [attack_on(check, name, case) for name in ("naive", "loss")]
    assert attacks[0].corrected_low > budget > attacks[1].corrected_low
    assert attacks[1].interval.high > attacks[0].interval.high
    finding = membership_judgement(check, case).finding
    assert finding.status is Status.FAIL
    assert finding.metrics["worst_attack"] == "loss"
    assert finding.interval == (attacks[0].corrected_low, attacks[1].interval.high)
    assert "lower bound of naive" in finding.summary


def test_the_interval_is_that_of_the_worst_attack():
    check = make_check(Membership, BODY)
    finding = membership_judgement(check, sides({"naive": 560, "loss": 500}, {"naive": 500, "loss": 500}, 1000)).finding
    assert finding.metrics["worst_attack"] == "naive"
    expected = difference(560, 1000, 500, 1000, confidence=bonferroni(0.95, 2)).low
    assert finding.interval == (expected, difference(560, 1000, 500, 1000, confidence=0.95).high)


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_precision_lies_in_its_interval_whatever_the_sides(members, others, data):
    hits, alarms = data.draw(st.integers(0, members)), data.draw(st.integers(0, others))
    nothing = Interval(0.0, 1.0)
    attack = Attacked("naive", hits, alarms, members, others, 0.0, nothing, 0.0, 0.5, nothing, None)
    value, (low, high) = precision_of(attack, 0.95)
    assert 0 <= low <= value <= high <= 1
    assert value == pytest.approx(attack.tpr / (attack.tpr + attack.fpr) if hits + alarms else 0.5)
    narrow = precision_of(attack, 0.6)[1]
    assert low <= narrow.low
    assert narrow.high <= high


@pytest.mark.parametrize("attack", ["naive", "loss"])
def test_without_a_leak_a_zero_budget_fails_rarely(attack, monkeypatch):
    """At most 5 % of 400 audits, give or take three standard deviations of that count."""
    monkeypatch.setattr(judgement, "area", lambda *_, **__: (0.5, Interval(0.0, 1.0)))
    body = BODY.replace("at_most: 0.15", "at_most: 0.0").replace("[naive, loss]", f"[{attack}]")
    member, repeats = torch.arange(800) < 400, 400
    failed = 0
    for seed in range(repeats):
        scores = torch.randn(800, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        if attack == "naive":
            scores = (scores > -0.8).double()
        check = make_check(Membership, body, seed=seed)
        failed += attack_on(check, attack, Sides({attack: scores}, member, torch.arange(800))).corrected_low > 0
    assert failed <= 0.05 * repeats + 3 * (0.05 * 0.95 * repeats) ** 0.5


def test_area_counts_ties_half_and_matches_scikit_learn():
    from sklearn.metrics import roc_auc_score

    draw = np.random.default_rng(0)
    member = np.arange(300) < 150
    scores = np.round(draw.normal(size=300) + 0.5 * member, 1)
    found, interval = area(scores, member, confidence=0.95, seed=0)
    assert found == pytest.approx(roc_auc_score(member, scores))
    assert interval.low < found < interval.high


def test_every_attack_that_is_not_there_yet_is_named():
    later = ("shadow", "bayesian", "displacement", "rmia", "lira")
    check = make_check(Membership, BODY, attacks=["naive", "loss", *later], shadows={"models": 8, "epochs": 40})
    assert check.unavailable() == tuple(f"attack {name}" for name in later)
    assert make_check(Membership, BODY).unavailable() == ()


def test_attacks_to_come_are_named(data):
    with pytest.raises(NotAvailable, match="attack rmia"):
        judged(nn.Linear(20, 2), data, BODY.replace("[naive, loss]", "[naive, rmia]"))


def test_too_few_rows_to_ever_pass_are_undecidable(data):
    with pytest.raises(Undecidable):
        judged(nn.Linear(20, 2), data, BODY.replace("0.15", "0.005"))
