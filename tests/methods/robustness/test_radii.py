"""The closed form against a loop over sets and classes, and the choice of leading classes against a stable sort."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.methods.robustness.radii import SORTED, certified_radii, leading_classes


def drawn(seed, rows, classes, rounded=False):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    constants = torch.rand(classes, classes, generator=generator, dtype=torch.float64)
    return (2 * scores).round() if rounded else scores, (constants + constants.T).fill_diagonal_(0.0)


def one_by_one(scores, order, constants, error, k):
    pairs = [(j, i) for j in order[:k] for i in order[k:]]
    return min((float(scores[j] - scores[i]) - math.sqrt(2) * error) / float(constants[j, i]) for j, i in pairs)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([3, SORTED, SORTED + 1, 150]), st.sampled_from([0.0, 1e-3]))
def test_radii_are_those_of_a_loop_and_never_larger(seed, classes, error):
    scores, constants = drawn(seed, 4, classes)
    sizes = min(5, classes - 1)
    leaders = leading_classes(scores, sizes)
    radii = certified_radii(scores, leaders, constants, torch.full((4,), error, dtype=torch.float64))
    for row in range(4):
        order = scores[row].argsort(descending=True, stable=True).tolist()
        for k in range(1, sizes + 1):
            exact, found = max(0.0, one_by_one(scores[row], order, constants, error, k)), float(radii[row, k - 1])
            assert exact * (1 - 3e-9) - 1e-14 <= found <= exact


@pytest.mark.parametrize("classes", [5, SORTED, SORTED + 1, 300])
@pytest.mark.parametrize("sizes", [1, 4])
def test_leading_classes_are_those_of_a_stable_sort_whatever_ties(classes, sizes):
    for rounded in (False, True):
        scores = drawn(classes, 200, classes, rounded)[0]
        assert torch.equal(
            leading_classes(scores, sizes), scores.argsort(dim=1, descending=True, stable=True)[:, :sizes]
        )


def test_a_radius_is_infinite_only_where_nothing_moves():
    scores = torch.tensor([[1e300, 0.0, -1.0]], dtype=torch.float64)
    leaders, error = torch.tensor([[0]]), torch.zeros(1, dtype=torch.float64)
    still, hardly = torch.zeros(3, 3, dtype=torch.float64), torch.full((3, 3), 1e-300, dtype=torch.float64)
    assert float(certified_radii(scores, leaders, still, error)) == math.inf
    assert float(certified_radii(scores, leaders, hardly, error)) == torch.finfo(torch.float64).max
    assert float(certified_radii(scores, leaders, still, error + math.inf)) == 0.0
    beyond = torch.tensor([[1.7e308, -1.7e308, -1.7e308]], dtype=torch.float64)
    assert float(certified_radii(beyond, leaders, hardly + 1e300, error)) == 0.0
