"""The bootstrap draws by its seed alone, and its intervals cover a mean."""

import numpy as np
import pytest

from auditor.statistics import bca_interval, bootstrap, percentile_interval, resampled


def draws(first, second):
    return np.c_[first, second].astype(float)


def test_the_draws_depend_on_the_seed_and_not_on_the_chunks(monkeypatch):
    whole = resampled(draws, (30, 20), resamples=101, seed=3)
    monkeypatch.setattr(bootstrap, "CELLS", 50 * 7)
    assert np.array_equal(resampled(draws, (30, 20), resamples=101, seed=3), whole)
    assert not np.array_equal(resampled(draws, (30, 20), resamples=101, seed=4), whole)


def test_each_group_is_resampled_to_its_own_size():
    sizes = resampled(lambda a, b: np.c_[a.sum(1), b.sum(1)], (5, 9), resamples=50, seed=0)
    assert (sizes == [5, 9]).all()


def test_replicates_spread_as_a_mean_does():
    values = np.random.default_rng(0).normal(size=200)
    replicates = resampled(lambda w: w @ values / 200, (200,), resamples=4000, seed=0)
    assert replicates.mean() == pytest.approx(values.mean(), abs=0.005)
    assert replicates.std() == pytest.approx(values.std() / np.sqrt(200), rel=0.05)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bounds_of_a_skewed_mean_miss_about_as_often_as_they_say(method):
    rng = np.random.default_rng(0)
    trials, above, below = 300, 0, 0
    for seed in range(trials):
        values = rng.exponential(size=60)
        replicates = resampled(lambda w, v=values: w @ v / 60, (60,), resamples=400, seed=seed)
        if method == "bca":
            low, high = bca_interval(replicates, values.mean(), values - values.mean(), low=0.9, high=0.9)
        else:
            low, high = percentile_interval(replicates, low=0.9, high=0.9)
        above, below = above + (low > 1), below + (high < 1)
    assert 0.04 * trials <= above <= 0.18 * trials
    assert 0.04 * trials <= below <= 0.18 * trials


def test_replicates_without_spread_give_the_observed_value():
    assert bca_interval(np.full(10, 0.3), 0.3, np.zeros(5), low=0.95, high=0.95) == (0.3, 0.3)


def test_nothing_to_resample_is_refused():
    with pytest.raises(ValueError, match="0 resamples"):
        resampled(lambda w: w[:, 0], (3,), resamples=0, seed=0)
