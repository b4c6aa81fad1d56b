"""Networks with branches, drawn at random: no Jacobian, no pair of points and no attack exceeds what the weights alone
allow.
"""

import pytest
import torch

from auditor.methods.robustness import bound_model
from auditor.methods.robustness.elementary import joined_upper
from auditor.methods.robustness.folding import as_piece, fold
from auditor.methods.robustness.graph import network
from auditor.methods.robustness.lipschitz import reaches_upper
from tests.methods.robustness.random_graphs import Graph

DUAL = {"l2": 2, "linf": 1}


def closest(seeds, norm):
    """The largest ratio of a margin's gradient, in the dual norm, to its constant; asserts that none exceeds 1."""
    tightest = 0.0
    for seed in seeds:
        model = Graph(seed)
        bounds = bound_model(model, model.shape, norm)
        generator = torch.Generator().manual_seed(seed)
        for point in torch.randn(2, *model.shape, dtype=torch.float64, generator=generator):
            jacobian = torch.autograd.functional.jacobian(lambda x, model=model: model(x[None])[0], point).flatten(1)
            slopes = (jacobian[:, None] - jacobian[None]).norm(p=DUAL[norm], dim=2)
            assert bool((slopes <= bounds.margins * (1 + 1e-12)).all()), seed
            tightest = max(tightest, float((slopes / bounds.margins).nan_to_num(0.0).max()))
    return tightest


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_no_gradient_of_a_margin_exceeds_its_constant(norm):
    assert closest(range(80), norm) > 0.5, "the draw should hold nets whose constants are nearly attained"


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_no_gradient_in_a_thousand_networks_exceeds_its_constant(norm):
    assert closest(range(1000, 2000), norm) > 0.5


@pytest.mark.parametrize("seed", range(20))
def test_climbing_a_margin_never_gains_more_than_its_constant_allows(seed):
    """Gradient ascent on f_j − f_i over a ball, from inputs in ordinary position."""
    model = Graph(seed)
    bounds = bound_model(model, model.shape)
    start = torch.rand(4, *model.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    radius, delta = 0.5, torch.zeros_like(start)
    before = model(start)
    for _ in range(20):
        delta.requires_grad_(True)
        out = model(start + delta)
        (gradient,) = torch.autograd.grad((out[:, 1] - out[:, 0]).sum(), delta)
        delta = (
            delta + 0.2 * gradient / gradient.flatten(1).norm(dim=1).clamp_min(1e-30)[:, None, None, None]
        ).detach()
        length = delta.flatten(1).norm(dim=1)[:, None, None, None]
        delta = delta * (radius / length.clamp_min(radius))
    gained = (model(start + delta)[:, 1] - model(start + delta)[:, 0]) - (before[:, 1] - before[:, 0])
    reached = delta.flatten(1).norm(dim=1)
    assert bool((gained <= bounds.margins[1, 0] * reached * (1 + 1e-9) + 1e-9).all())


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("seed", range(30))
def test_taking_neighbours_together_loosens_no_bound(seed, norm):
    """Beside the walk that takes each layer by itself; up to what the grid of a larger kernel costs."""
    model = Graph(seed)
    found = network(model, model.shape)
    reach = [1.0]
    for node in found.nodes[1:]:
        before = [reach[each] for each in node.inputs]
        bound = as_piece(node, (0,)).lipschitz_upper(norm)
        reach.append(joined_upper(node.layer, before, norm) if len(before) > 1 else bound * before[0])
    pieces = fold(found, norm)
    together = reaches_upper(pieces, [piece.lipschitz_upper(norm) for piece in pieces], norm)[len(pieces) - 1]
    assert together <= reach[-1] * (1 + 1e-2)
