"""Slopes that are reached: never above the proved bound, exact where the constant is known, and confined as asked."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from auditor.methods.robustness import bound_model
from auditor.methods.robustness.ball import length
from auditor.methods.robustness.lower_bounds import margin_slopes, steepest_pairs
from auditor.methods.training.layers import MinMax, orthogonal_


def frozen(*layers):
    return nn.Sequential(*layers).eval().requires_grad_(False)


def dense(seed, width=12):
    torch.manual_seed(seed)
    return frozen(nn.Linear(10, width), MinMax(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_linear_model_is_bracketed_exactly(norm):
    torch.manual_seed(0)
    model = frozen(nn.Linear(10, 3))
    weight = model[0].weight.double()
    difference = weight[:, None] - weight[None]
    exact = difference.norm(dim=2) if norm == "l2" else difference.abs().sum(2)
    pairs = steepest_pairs(model, torch.randn(8, 10), norm=norm, steps=5)
    found = margin_slopes(model, pairs, norm=norm)
    torch.testing.assert_close(found.max(), exact.max(), rtol=1e-6, atol=0)
    assert bool((found <= exact).all())
    assert torch.equal(found, found.T)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_no_slope_exceeds_its_bound(seed):
    model = dense(seed)
    bounds = bound_model(model, (10,))
    pairs = steepest_pairs(model, torch.rand(6, 10), box=(0, 1), steps=10, restarts=2, error=bounds.error.at, seed=seed)
    found = margin_slopes(model, pairs, norm="l2", error=bounds.error.at)
    assert bool((found <= bounds.margins).all())
    assert float(found.max()) == pytest.approx(float(pairs.slope.max()), rel=1e-9)
    assert float(pairs.slope.max()) > 0


def test_an_orthogonal_network_reaches_most_of_its_bound():
    torch.manual_seed(0)
    model = orthogonal_(frozen(nn.Linear(12, 12), MinMax(), nn.Linear(12, 12), MinMax(), nn.Linear(12, 3)))
    upper = float(bound_model(model, (12,)).margins.max())
    assert float(steepest_pairs(model, torch.randn(20, 12), restarts=2).slope.max()) >= 0.9 * upper


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_pairs_stay_within_radius_and_box(norm):
    model, x = dense(1), torch.rand(9, 10)
    pairs = steepest_pairs(model, x, norm=norm, radius=0.2, box=(0.0, 1.0), steps=12, restarts=3)
    for points in (pairs.first, pairs.second):
        assert bool((length(points - x.double(), norm) <= 0.2 * (1 + 1e-12)).all())
        assert float(points.min()) >= 0
        assert float(points.max()) <= 1
    assert bool((pairs.first != pairs.second).flatten(1).any(1).all())


def test_near_a_row_the_margin_is_that_of_its_prediction():
    """Class 2 against class 1 is the steepest margin, yet eq. 6.12 asks for those of the class predicted."""
    model = frozen(nn.Linear(2, 3))
    model[0].weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0], [-2.0, 0.0]]))
    model[0].bias.copy_(torch.tensor([50.0, 0.0, 0.0]))
    x = torch.zeros(2, 2)
    torch.testing.assert_close(steepest_pairs(model, x, radius=0.1, steps=8).slope, torch.full((2,), 2.0).double())
    torch.testing.assert_close(steepest_pairs(model, x, steps=8).slope, torch.full((2,), 3.0).double())


def test_the_search_finds_a_cliff_within_the_radius_only():
    """Flat near the row, steep from 0.5 on: a small ball must not see it, a large one must."""
    model = frozen(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 2))
    model[0].weight.fill_(10.0)
    model[0].bias.fill_(-5.0)
    model[2].weight.copy_(torch.tensor([[0.0], [1.0]]))
    model[2].bias.copy_(torch.tensor([1.0, 0.0]))
    x = torch.zeros(1, 1)
    assert float(steepest_pairs(model, x, radius=0.2, steps=30, restarts=6).slope) == 0
    assert float(steepest_pairs(model, x, radius=2.0, steps=30, restarts=6).slope) == pytest.approx(10, rel=1e-6)


def test_rows_are_searched_alike_whatever_their_batch():
    model, x = dense(3), torch.rand(9, 10)
    whole = steepest_pairs(model, x, radius=0.2, steps=8, restarts=2)
    parts = steepest_pairs(model, x, radius=0.2, steps=8, restarts=2, batch_size=4)
    torch.testing.assert_close(whole.slope, parts.slope, rtol=1e-9, atol=0)


def test_an_error_of_evaluation_lowers_every_slope():
    model, x = dense(2), torch.rand(5, 10)
    exact, doubtful = (steepest_pairs(model, x, steps=8, error=lambda n, e=e: n * 0 + e).slope for e in (0.0, 1e-3))
    assert bool((doubtful < exact).all())
    assert float(steepest_pairs(model, x, steps=8, error=lambda n: n * 0 + 1e9).slope.max()) == 0


def test_no_inputs_no_slopes():
    assert len(steepest_pairs(dense(0), torch.rand(0, 10)).slope) == 0
    assert float(margin_slopes(dense(0), steepest_pairs(dense(0), torch.rand(0, 10)), norm="l2").sum()) == 0
