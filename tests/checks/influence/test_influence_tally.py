"""The verdict rule: calibrated at the threshold, exactly invertible, deaf to what does not count."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from auditor.checks.influence.demand import Demanded
from auditor.checks.influence.tally import holding_needed, rows_for_a_pass, tally
from auditor.records import Status


def demand(**fields) -> Demanded:
    stated = {"metric": "mass", "region": {"border": 1}, "at_most": 0.5, **fields}
    return Demanded.model_validate(stated)


def rows(holding: int, breaking: int, undefined: int = 0) -> np.ndarray:
    return np.concatenate([np.full(holding, 0.2), np.full(breaking, 0.9), np.full(undefined, np.nan)])


def status(values: np.ndarray, wanted: Demanded, *, confidence: float = 0.95, claim="population") -> Status:
    return tally(values, wanted, confidence=confidence, claim=claim, seed=0).status


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9, 0.99])
@pytest.mark.parametrize("count", [30, 100, 417])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_audits_at_the_threshold_pass_at_most_at_their_error_rate(share: float, count: int, confidence: float) -> None:
    """Were exactly `share` of all rows sound, a pass would be wrong up to a hair: its probability, summed exactly."""
    wanted = demand(for_at_least=share)
    outcomes = [status(rows(k, count - k), wanted, confidence=confidence) for k in range(count + 1)]
    chance = binom.pmf(np.arange(count + 1), count, share)
    passed = sum(p for p, outcome in zip(chance, outcomes, strict=True) if outcome is Status.PASS)
    failed = sum(p for p, outcome in zip(chance, outcomes, strict=True) if outcome is Status.FAIL)
    assert passed <= 1 - confidence + 1e-12
    assert failed <= 1 - confidence + 1e-12
    if count * share > 50:
        assert failed >= 0.2 * (1 - confidence)


def test_simulated_audits_at_the_threshold() -> None:
    """The same by simulation through the rows themselves, undefined ones included among those that break."""
    generator = np.random.default_rng(0)
    wanted = demand(for_at_least=0.9)
    outcomes = []
    for _ in range(400):
        values = np.where(generator.random(200) < 0.9, 0.2, np.where(generator.random(200) < 0.5, 0.9, np.nan))
        outcomes.append(status(values, wanted))
    assert np.mean([outcome is Status.PASS for outcome in outcomes]) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    assert np.mean([outcome is Status.INCONCLUSIVE for outcome in outcomes]) > 0.8


@given(count=st.integers(1, 300), share=st.floats(0.3, 0.99), confidence=st.floats(0.8, 0.99))
@settings(deadline=None, max_examples=60)
def test_holding_needed_is_where_the_verdict_turns(count: int, share: float, confidence: float) -> None:
    wanted = demand(for_at_least=share)
    needed = holding_needed(count, wanted, confidence=confidence, claim="population")
    fewest = rows_for_a_pass(wanted, confidence=confidence, claim="population")
    assert (needed is None) == (count < fewest)
    if needed is None:
        assert status(rows(count, 0), wanted, confidence=confidence) is not Status.PASS
    else:
        assert status(rows(needed, count - needed), wanted, confidence=confidence) is Status.PASS
        assert status(rows(needed - 1, count - needed + 1), wanted, confidence=confidence) is not Status.PASS


@pytest.mark.parametrize(("share", "fewest"), [(0.9, 29), (0.8, 14), (0.99, 299), (0.5, 5)])
def test_fewest_rows_by_the_rule_of_three(share: float, fewest: int) -> None:
    wanted = demand(for_at_least=share)
    assert rows_for_a_pass(wanted, confidence=0.95, claim="population") == fewest
    assert status(rows(fewest, 0), wanted) is Status.PASS
    assert status(rows(fewest - 1, 0), wanted) is Status.INCONCLUSIVE
    assert rows_for_a_pass(wanted, confidence=0.95, claim="sample") == 1


def test_a_sample_is_judged_by_itself() -> None:
    wanted = demand(for_at_least=0.9)
    assert status(rows(9, 1), wanted, claim="sample") is Status.PASS
    assert status(rows(8, 2), wanted, claim="sample") is Status.FAIL


@pytest.mark.parametrize(
    ("undefined", "found"), [("fails", (90, 100, Status.INCONCLUSIVE)), ("exclude", (90, 90, Status.PASS))]
)
def test_undefined_rows(undefined: str, found: tuple[int, int, Status]) -> None:
    result = tally(
        rows(90, 0, 10), demand(for_at_least=0.9, undefined=undefined), confidence=0.95, claim="population", seed=0
    )
    assert (result.holding, result.n, result.status) == found
    assert result.undefined == 10
    assert result.holds.sum() == 90


def test_no_rows_decide_nothing() -> None:
    for fields in ({"for": "all"}, {"for_at_least": 0.5}, {"aggregate": "mean"}):
        assert status(np.zeros(0), demand(**fields)) is Status.INCONCLUSIVE
    assert status(rows(0, 0, 40), demand(**{"for": "all"}, undefined="exclude")) is Status.INCONCLUSIVE


def test_universal_unless_said_otherwise() -> None:
    """Definition 2.1 quantifies over every row."""
    assert demand().quantifier == "all"
    assert status(rows(40, 0), demand()) is Status.PASS
    assert status(rows(4000, 1), demand()) is Status.FAIL


def test_the_mean_counts_undefined_rows_at_their_worst() -> None:
    wanted = demand(aggregate="mean", at_most=0.25)
    assert status(rows(100, 0), wanted) is Status.PASS
    assert status(rows(100, 0, 30), wanted) is Status.FAIL
    assert status(rows(100, 0, 30), demand(aggregate="mean", at_most=0.25, undefined="exclude")) is Status.PASS
    assert status(rows(19, 0), wanted) is Status.INCONCLUSIVE
