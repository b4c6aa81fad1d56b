"""Linear bounds: never above what any point of the region gives, exact for linear networks, and rounded down."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from auditor.methods.layers import GroupSort, Householder, MinMax
from auditor.methods.robustness.ball import steepest
from auditor.methods.robustness.evaluation_error import EvaluationError
from auditor.methods.robustness.graph import network
from auditor.methods.robustness.layer_error import LayerError
from auditor.methods.robustness.linear_bounds import certify_locally, linear_problem, region, relaxation
from auditor.methods.robustness.linear_bounds.certifying import ball, leads_needed
from auditor.methods.robustness.linear_bounds.leads import compared, leads
from auditor.methods.robustness.linear_bounds.relaxation import Relaxation, steps
from tests.methods.robustness.linear_bounds.activations import CONFIGURED
from tests.methods.robustness.random_graphs import Graph


def certified(graph, x, epsilon, norm, *, sizes=1, error=None, seconds=0.0):
    orders = graph(x).argsort(1, descending=True)
    wanted = torch.ones(len(x), sizes, dtype=torch.bool)
    return orders, certify_locally(graph, x, epsilon, norm, wanted, orders, error=error, seconds=seconds)


def attacked(model, x, epsilon, norm, orders, k):
    """The least lead of the first k classes over the rest that gradient steps from random starts meet [rows]."""
    least = torch.full((len(x),), math.inf, dtype=torch.float64)
    for first in range(k):
        for second in range(k, orders.shape[1]):
            delta = torch.zeros_like(x)
            for step in range(8):
                at = (x + delta).requires_grad_(True)
                out = model(at).gather(1, orders)
                lead = out[:, first] - out[:, second]
                least = torch.minimum(least, lead.detach())
                (gradient,) = torch.autograd.grad(lead.sum(), at)
                delta = delta - epsilon * (1.5 if step % 3 == 0 else 0.4) * steepest(gradient, norm)
                flat = delta.flatten(1)
                length = flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)
                share = (epsilon * (1 - 1e-9) / length.clamp_min(1e-300)).clamp_max(1.0)
                delta = delta * share.reshape(-1, *[1] * (x.ndim - 1))
    return least


def check_graph(seed, seconds=0.0):
    model = Graph(seed)
    graph = network(model, model.shape)
    torch.manual_seed(seed)
    x = torch.randn(3, *model.shape, dtype=torch.float64)
    sizes = graph(x).shape[1] - 1
    for norm in ("l2", "linf"):
        margins = []
        for epsilon in (0.0, 0.02, 0.2):
            orders, found = certified(graph, x, epsilon, norm, sizes=sizes, seconds=seconds)
            margins.append(found.margin)
            for k in range(1, sizes + 1):
                met = attacked(model, x, epsilon, norm, orders, k)
                assert bool((found.margin[:, k - 1] <= met + 1e-9).all()), (seed, norm, epsilon, k)
        assert bool((margins[0] + 1e-9 >= margins[1]).all())
        assert bool((margins[1] + 1e-9 >= margins[2]).all())
        assert bool((margins[0] >= attacked(model, x, 0.0, norm, orders, 1)[:, None] * (1 - 1e-3) - 1e-2)[:, 0].all())


@pytest.mark.parametrize("seed", range(24))
def test_no_attack_on_a_random_graph_goes_below_its_bounds(seed):
    check_graph(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1200))
def test_no_attack_on_many_random_graphs_goes_below_their_bounds(seed):
    check_graph(seed, seconds=0.3)


@pytest.mark.parametrize(
    "layer",
    [*CONFIGURED, MinMax(), GroupSort(3), GroupSort(2), Householder(6)],
    ids=str,
)
def test_every_activation_in_a_network(layer):
    """Values of all nodes at random points of the region lie within their bounds, and leads above theirs."""
    torch.manual_seed(1)
    width = 3 if isinstance(layer, nn.PReLU) else 6
    model = nn.Sequential(nn.Linear(4, width), layer, nn.Linear(width, width), layer, nn.Linear(width, 3))
    model = model.double().eval().requires_grad_(False)
    graph = network(model, (4,))
    x = torch.randn(5, 4, dtype=torch.float64)
    for norm, epsilon in (("l2", 0.3), ("linf", 0.1), ("linf", 2.0)):
        relaxed = Relaxation(steps(graph), ball(x, epsilon, norm))
        relaxed.fill()
        orders = model(x).argsort(1, descending=True)
        pairs = compared(torch.ones(5, 2, dtype=torch.bool), 3)
        bounds = leads(relaxed, pairs, orders)
        for _ in range(100):
            move = torch.randn_like(x)
            move = (
                epsilon * (move / move.norm(dim=1, keepdim=True) if norm == "l2" else move.clamp(-1, 1)) * (1 - 1e-12)
            )
            values = [x + move]
            for step in relaxed.steps[1:]:
                taken = [values[each].clone() for each in step.node.inputs]
                values.append(step.affine.value(*taken) if step.affine else step.node.layer(*taken))
            for value, low, high in zip(values, relaxed.low, relaxed.high, strict=True):
                assert bool((low <= value + 1e-12).all())
                assert bool((value <= high + 1e-12).all())
            out = values[-1].gather(1, orders)
            assert bool((bounds <= out[:, pairs[:, 0]] - out[:, pairs[:, 1]] + 1e-12).all())


def test_a_linear_network_is_bounded_exactly():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), nn.AvgPool2d(2), nn.Flatten())
    model = nn.Sequential(model, nn.BatchNorm1d(12), nn.Linear(12, 3)).double().eval().requires_grad_(False)
    graph = network(model, (2, 4, 4))
    x = torch.randn(4, 2, 4, 4, dtype=torch.float64)
    matrix = (model(torch.eye(32, dtype=torch.float64).reshape(32, 2, 4, 4)) - model(torch.zeros_like(x[:1]))).T
    for norm, dual in (("l2", 2.0), ("linf", 1.0)):
        orders, found = certified(graph, x, 0.3, norm)
        for row, order in enumerate(orders):
            rows = matrix[order[:1]] - matrix[order[1:]]
            lead = model(x[row : row + 1])[0, order]
            exact = (lead[0] - lead[1:] - 0.3 * rows.norm(p=dual, dim=1)).min()
            assert abs(float(found.margin[row, 0] - exact)) < 1e-9


def test_backward_bounds_are_tighter_than_intervals():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 3)).double()
    made = steps(network(model.requires_grad_(False), (6,)))
    region = ball(torch.randn(8, 6, dtype=torch.float64), 0.1, "l2")
    plain, tight = Relaxation(made, region), Relaxation(made, region)
    plain.fill(tighten=False)
    tight.fill()
    for (low, high), (lower, upper) in zip(
        zip(tight.low, tight.high, strict=True), zip(plain.low, plain.high, strict=True), strict=True
    ):
        assert bool((low >= lower - 1e-12).all())
        assert bool((high <= upper + 1e-12).all())
    assert float((plain.high[-1] - plain.low[-1]).sum()) > 1.5 * float((tight.high[-1] - tight.low[-1]).sum())


def biased(seed):
    """A dense network whose first hidden layer has large biases that the second takes off again."""
    generator = torch.Generator().manual_seed(seed)
    inputs, width = 3, 4
    first, second, third = nn.Linear(inputs, width), nn.Linear(width, width), nn.Linear(width, 2)
    with torch.no_grad():
        for layer in (first, second, third):
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator))
            layer.bias.zero_()
    first, second, third = first.double(), second.double(), third.double()
    with torch.no_grad():
        first.bias += 2.0 ** float(20 + 24 * torch.rand((), generator=generator))
        second.bias -= second.weight @ first.bias
        third.bias[0] -= 0.0
    model = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third).requires_grad_(False)
    return model, torch.randn(1, inputs, generator=generator, dtype=torch.float64)


def exact(model, x):
    value = [Fraction(each) for each in x[0].tolist()]
    for layer in model:
        if isinstance(layer, nn.ReLU):
            value = [max(each, Fraction(0)) for each in value]
        else:
            value = [
                sum((Fraction(w) * v for w, v in zip(row, value, strict=True)), Fraction(bias))
                for row, bias in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
            ]
    return value


def exceeded(seeds):
    """How many networks' margins at radius 0 lie above the lead in rational arithmetic, and how many are certified
    against it.
    """
    above = false = 0
    for seed in seeds:
        model, x = biased(seed)
        graph = network(model, (3,))
        orders = torch.tensor([[0, 1]])
        found = certify_locally(
            graph, x, 0.0, "l2", torch.ones(1, 1, dtype=torch.bool), orders, error=None, seconds=0.0
        )
        out = exact(model, x)
        lead = out[0] - out[1]
        above += Fraction(float(found.margin[0, 0])) > lead
        false += bool(found.held[0, 0]) and lead <= 0
    return above, false


def test_no_margin_exceeds_the_rational_one():
    assert exceeded(range(60)) == (0, 0)


def test_without_its_charges_it_would(monkeypatch):
    """What every other implementation does: float64 as it comes."""
    from auditor.methods.robustness.linear_bounds import lines

    for place in (relaxation, lines):
        monkeypatch.setattr(place, "UNIT", 0.0)
        monkeypatch.setattr(place, "TINY", 0.0)
    monkeypatch.setattr(lines, "layer_error", lambda *_: LayerError(1.0, 1.0, 0.0, 0.0, 0.0))
    for place in (relaxation, region):
        monkeypatch.setattr(place, "gamma", lambda terms: 0.0)
        monkeypatch.setattr(place, "TINY", 0.0)
    above, _ = exceeded(range(60))
    assert above > 5


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), epsilon=st.floats(0.01, 0.5), norm=st.sampled_from(["l2", "linf"]))
def test_splitting_decides_small_networks(seed, epsilon, norm):
    """Of two inputs, against a fine grid of the ball: nothing held is broken on it, nothing clear is left open."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    graph = network(model.requires_grad_(False), (2,))
    x = torch.randn(1, 2, dtype=torch.float64)
    orders, found = certified(graph, x, epsilon, norm, sizes=2, seconds=20.0)
    axis = torch.linspace(-epsilon, epsilon, 61, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    grid = grid[grid.norm(dim=1) <= epsilon * (1 - 1e-12)] if norm == "l2" else grid
    out = model(x + grid).gather(1, orders.expand(len(grid), -1))
    for k in (1, 2):
        least = float((out[:, :k, None] - out[:, None, k:]).min())
        assert float(found.margin[0, k - 1]) <= least + 1e-9
        if bool(found.held[0, k - 1]):
            assert least > 0
        if least > 0.05:
            assert bool(found.held[0, k - 1])


def test_slopes_only_help():
    torch.manual_seed(3)
    layers = [each for _ in range(3) for each in (nn.Linear(40, 40), nn.Tanh())]
    model = nn.Sequential(*layers, nn.Linear(40, 3)).double().requires_grad_(False)
    for parameter in model.parameters():
        parameter.mul_(2.0)
    graph = network(model, (40,))
    x = torch.randn(40, 40, dtype=torch.float64)
    _, plain = certified(graph, x, 0.25, "l2")
    _, better = certified(graph, x, 0.25, "l2", seconds=20.0)
    assert bool((better.margin >= plain.margin).all())
    assert bool((better.margin > plain.margin + 1e-3).any())
    assert not bool(better.exhausted.any())


def test_float32_must_leave_room_for_its_error():
    """√2 times the error of one evaluation at the farthest neighbour; `EvaluationError` speaks of two."""
    x = torch.full((2, 4), 3.0, dtype=torch.float64)
    error = EvaluationError(2e-3, 4e-3, 100.0)
    needed = leads_needed(x, 0.5, "l2", error)
    torch.testing.assert_close(needed, torch.full((2,), math.sqrt(2) * (1e-3 * 6.5 + 2e-3)).double(), rtol=1e-7, atol=0)
    wide = leads_needed(x, 0.5, "linf", error)
    torch.testing.assert_close(wide, torch.full((2,), math.sqrt(2) * (1e-3 * 7.0 + 2e-3)).double(), rtol=1e-7, atol=0)
    assert bool((needed >= math.sqrt(2) * (1e-3 * 6.5 + 2e-3)).all())
    assert bool(leads_needed(40 * x, 0.5, "l2", error).isinf().all())
    torch.manual_seed(0)
    graph = network(nn.Linear(4, 2).double().requires_grad_(False), (4,))
    _, found = certified(graph, x, 0.0, "l2", error=EvaluationError(0.0, 1e6))
    assert not bool(found.held.any())
    assert bool((found.margin > 0).all())


def test_only_what_is_wanted_is_said():
    model = Graph(3)
    graph = network(model, model.shape)
    x = torch.randn(2, *model.shape, dtype=torch.float64)
    orders = graph(x).argsort(1, descending=True)
    wanted = torch.tensor([[True], [False]])
    done = []
    found = certify_locally(graph, x, 1e-3, "l2", wanted, orders, error=None, seconds=0.0, progress=done.append)
    assert found.margin[1, 0] == -math.inf
    assert found.held.tolist() == [[bool(found.margin[0, 0] > 0)], [False]]
    assert done == [1, 2]


def test_what_overflows_is_not_certified():
    layer = nn.Linear(2, 2).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1e300, 1e300], [0.0, 0.0]], dtype=torch.float64))
    graph = network(nn.Sequential(layer, nn.ReLU(), nn.Linear(2, 2).double()).requires_grad_(False), (2,))
    x = torch.tensor([[1e9, 1e9], [math.nan, 0.0], [math.inf, 0.0]], dtype=torch.float64)
    orders = torch.tensor([[0, 1]]).expand(3, -1)
    found = certify_locally(graph, x, 0.1, "l2", torch.ones(3, 1, dtype=torch.bool), orders, error=None, seconds=0.1)
    assert not bool(found.held.any())


def test_a_module_without_relaxation_is_named():
    class Own(nn.Module):
        def forward(self, x):
            return x * x.sigmoid().sin()

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.own, self.head = Own(), nn.Linear(3, 2)

        def forward(self, x):
            return self.head(self.own(x))

    problem = linear_problem(network(Model(), (3,), {"own": 2.0}))
    assert problem is not None
    assert problem.node == "own"
    assert linear_problem(network(nn.Linear(3, 2), (3,))) is None
