"""Randomized smoothing against the closed form: a linear model's vote has its exact boundary where the model has."""

import math

import pytest
import torch
from torch import nn

from auditor.methods.robustness.smoothing import PIECE, certificates, most_mistaken, votes

SIGMA = 0.5


def linear():
    """Two classes, boundary x₀ = 0: the vote's probability at x is Φ(|x₀|/σ), its robust radius |x₀|."""
    model = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]))
    return model


def rows(count, seed=0):
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))


def sampled(x, samples=2000, **more):
    return votes(linear(), x, torch.arange(len(x)), sigma=SIGMA, first=64, samples=samples, seed=0, **more)


def test_radii_lie_below_the_distance_to_the_boundary_and_approach_it():
    x = rows(150)
    exact = x[:, 0].abs().double()
    spare = []
    for samples in (500, 8000):
        out = certificates(sampled(x, samples), sigma=SIGMA, samples=samples, alpha=0.001)
        assert int((out.radius > exact).sum()) <= most_mistaken(150, alpha=0.001, confidence=0.9999)
        answered = out.predicted >= 0
        assert torch.equal(out.predicted[answered], (x[answered, 0] < 0).long())
        near = answered & (exact < SIGMA)
        spare.append(float((exact - out.radius)[near].mean()))
    assert spare[1] < spare[0]
    assert spare[1] < 0.05 * SIGMA


def test_certificates_are_false_no_more_often_than_promised():
    """Rows on one side of the boundary, at a level of error that shows: 1 − α is met, and not by refusing to answer."""
    x, alpha, samples = torch.full((600, 3), 0.2), 0.2, 200
    out = certificates(sampled(x, samples), sigma=SIGMA, samples=samples, alpha=alpha)
    false = int((out.radius > 0.2).sum())
    assert false <= most_mistaken(600, alpha=alpha, confidence=0.9999)
    assert false >= 30


def test_votes_depend_on_the_row_and_the_seed_and_on_nothing_else():
    x = rows(7)
    whole = sampled(x)
    for batch in (PIECE, 3 * PIECE, 10**6):
        assert torch.equal(sampled(x, batch_size=batch).agreeing, whole.agreeing)
    back = votes(linear(), x.flip(0), torch.arange(7).flip(0), sigma=SIGMA, first=64, samples=2000, seed=0)
    assert torch.equal(back.agreeing.flip(0), whole.agreeing)
    other = votes(linear(), x, torch.arange(7), sigma=SIGMA, first=64, samples=2000, seed=1)
    assert not torch.equal(other.agreeing, whole.agreeing)
    shifted = votes(linear(), x, torch.arange(7) + 1, sigma=SIGMA, first=64, samples=2000, seed=0)
    assert not torch.equal(shifted.agreeing, whole.agreeing)


@pytest.mark.parametrize("samples", [1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE])
def test_as_many_samples_vote_as_were_asked_for(samples):
    found = votes(linear(), torch.full((1, 3), 100.0), torch.tensor([3]), sigma=SIGMA, first=1, samples=samples, seed=0)
    assert found.agreeing.tolist() == [samples]


def test_a_tie_abstains_and_nan_votes_for_nothing():
    undecided = certificates(sampled(torch.zeros(5, 3)), sigma=SIGMA, samples=2000, alpha=0.001)
    assert undecided.predicted.tolist() == [-1] * 5
    assert undecided.radius.tolist() == [0.0] * 5

    class Broken(nn.Module):
        def forward(self, x):
            return torch.full((len(x), 2), math.nan)

    found = votes(Broken(), torch.zeros(2, 3), torch.arange(2), sigma=SIGMA, first=8, samples=100, seed=0)
    assert found.agreeing.tolist() == [0, 0]
    assert certificates(found, sigma=SIGMA, samples=100, alpha=0.001).predicted.tolist() == [-1, -1]


def test_how_many_of_many_certificates_may_be_false():
    assert most_mistaken(0, alpha=0.001, confidence=0.95) == 0
    assert most_mistaken(1000, alpha=0.001, confidence=0.95) == 3
    assert most_mistaken(10, alpha=0.001, confidence=0.95) == 0
