"""Separation of the data: exact nearest conflicts, and a ceiling that no classifier can break."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.methods.robustness.separation import FIRST, conflicting, disjoint_pairs, nearest_conflicts
from auditor.terms import Affinity, Standard, TopK


def direct(x, y, apart, norm):
    """Row by row, in float64."""
    flat = x.flatten(1).double()
    difference = flat[:, None] - flat[None]
    distance = difference.abs().amax(2) if norm == "linf" else difference.norm(dim=2)
    return distance.masked_fill(~apart[y][:, y], math.inf).min(1).values


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["l2", "linf"]), st.integers(1, 70), st.sampled_from([1, 7, 64]))
def test_the_nearest_conflict_is_the_one_a_plain_loop_finds(seed, norm, rows, block):
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.rand(rows, 2, 3, 100, generator=generator), torch.randint(0, 4, (rows,), generator=generator)
    x[::5] = x[0].clone()
    apart = conflicting(Affinity(((0, 1), (1, 2))), 4)
    found = nearest_conflicts(x, y, apart, norm=norm, block=block)
    exact = direct(x, y, apart, norm)
    torch.testing.assert_close(found.distance, exact, rtol=1e-12, atol=0)
    assert bool((found.distance >= exact * (1 - 1e-15)).all())
    real = found.position >= 0
    assert torch.equal(real, exact.isfinite())
    assert bool(apart[y[real], y[found.position[real]]].all())


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_distances_that_the_fast_pass_cannot_tell_apart_are_measured(norm):
    """Far from the origin and close to each other: more near ties than candidates, the nearest hidden by rounding."""
    rows = 12 * FIRST
    x = torch.zeros(rows, 4, dtype=torch.float64)
    x[:, 0] = 1e8 * (torch.arange(rows) % 2)
    x[:, 1] = torch.arange(rows, dtype=torch.float64).flip(0) * 1e-6 + 1e-3
    x[0, 1] = 0.0
    y = (torch.arange(rows) > 0).long()
    found = nearest_conflicts(x, y, conflicting(Standard(), 2), norm=norm)
    torch.testing.assert_close(found.distance, direct(x, y, conflicting(Standard(), 2), norm), rtol=1e-12, atol=0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 0.6))
def test_pairs_are_disjoint_in_conflict_and_at_least_half_of_what_must_be_lost(seed, epsilon):
    networkx = pytest.importorskip("networkx")
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.rand(40, 2, generator=generator), torch.randint(0, 3, (40,), generator=generator)
    apart = conflicting(Standard(), 3)
    nearest = nearest_conflicts(x, y, apart)
    pairs = disjoint_pairs(nearest)
    flat = pairs.positions.flatten().tolist()
    assert len(set(flat)) == len(flat)
    assert bool(apart[y[pairs.positions[:, 0]], y[pairs.positions[:, 1]]].all())
    assert torch.equal(pairs.distance, pairs.distance.sort().values)
    edges = [
        (row, other)
        for row, (far, other) in enumerate(zip(*(part.tolist() for part in nearest), strict=True))
        if far <= 2 * epsilon
    ]
    most = len(networkx.max_weight_matching(networkx.Graph(edges), maxcardinality=True))
    count = int((pairs.distance <= 2 * epsilon).sum())
    assert count <= most <= 2 * count


def test_the_nearest_neighbour_classifier_meets_the_ceiling_and_none_exceeds_it():
    """Thesis A.2: certified at ε where both nearest rows of different labels lie more than 2ε apart."""
    x = torch.tensor([[0.0], [1.0], [1.2], [5.0], [5.05], [5.3]]).double()
    y = torch.tensor([0, 0, 1, 1, 0, 1])
    pairs = disjoint_pairs(nearest_conflicts(x, y, conflicting(Standard(), 2)))

    def ceiling(epsilon):
        return 1 - float((pairs.distance <= 2 * epsilon).sum()) / len(x)

    assert ceiling(0.01) == 1.0
    assert ceiling(0.05) == pytest.approx(5 / 6)
    assert ceiling(0.11) == pytest.approx(4 / 6)
    grid = torch.linspace(-1, 7, 8001).double()[:, None]
    for epsilon in (0.05, 0.11):
        # Every threshold classifier on the line: label `first` left of a cut, the other right of it, and intervals.
        best = 0.0
        for low in grid[::100, 0].tolist():
            for high in grid[::100, 0].tolist():
                inside = (x[:, 0] - low > epsilon) & (high - x[:, 0] > epsilon)
                outside = (low - x[:, 0] > epsilon) | (x[:, 0] - high > epsilon)
                best = max(best, float(((inside & (y == 1)) | (outside & (y == 0))).double().mean()))
        assert best <= ceiling(epsilon) + 1e-12


def test_relaxed_guarantees_conflict_less():
    assert not bool(conflicting(TopK(2), 4).any())
    assert torch.equal(conflicting(TopK(1), 4), conflicting(Standard(), 4))
    apart = conflicting(Affinity(((0, 1), (1, 2))), 4)
    assert apart.tolist()[0] == [False, False, True, True]
    assert apart.tolist()[1] == [False, False, False, True]
    assert torch.equal(apart, apart.T)


def test_rows_of_one_label_or_none_have_no_conflict():
    for rows in (1, 5):
        found = nearest_conflicts(torch.rand(rows, 3), torch.zeros(rows).long(), conflicting(Standard(), 2))
        assert bool(found.distance.isinf().all())
        assert found.position.tolist() == [-1] * rows
        assert len(disjoint_pairs(found).distance) == 0
    empty = nearest_conflicts(torch.rand(0, 3), torch.zeros(0).long(), conflicting(Standard(), 2))
    assert len(empty.distance) == len(disjoint_pairs(empty).distance) == 0
