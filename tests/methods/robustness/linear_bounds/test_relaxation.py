"""Linear bounds: never above what any point of the region gives, exact for linear networks, and rounded down."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from auditor.errors import Unsupported
from auditor.methods.layers import GroupSort, Householder, MinMax
from auditor.methods.robustness.ball import steepest
from auditor.methods.robustness.graph import network
from auditor.methods.robustness.layer_error import SINGLE, LayerError, Precision
from auditor.methods.robustness.linear_bounds import certify_locally, linear_problem, region, relaxation
from auditor.methods.robustness.linear_bounds.certifying import ball
from auditor.methods.robustness.linear_bounds.leads import compared, leads
from auditor.methods.robustness.linear_bounds.relaxation import Relaxation, steps
from tests.methods.robustness.linear_bounds.activations import CONFIGURED
from tests.methods.robustness.random_graphs import Graph, strained


def certified(graph, x, epsilon, norm, *, sizes=1, arithmetic="real", seconds=0.0):
    orders = graph(x).argsort(1, descending=True)
    wanted = torch.ones(len(x), sizes, dtype=torch.bool)
    return orders, certify_locally(graph, x, epsilon, norm, wanted, orders, arithmetic=arithmetic, seconds=seconds)


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
        found = certify_locally(graph, x, 0.0, "l2", torch.ones(1, 1, dtype=torch.bool), orders, seconds=0.0)
        out = exact(model, x)
        lead = out[0] - out[1]
        above += Fraction(float(found.margin[0, 0])) > lead
        false += bool(found.held[0, 0]) and lead <= 0
    return above, false


def test_no_margin_exceeds_the_rational_one():
    assert exceeded(range(60)) == (0, 0)


def test_without_its_charges_it_would(monkeypatch):
    """What every other implementation does: float64 as it comes."""
    from auditor.methods.robustness.linear_bounds import certifying, lines

    monkeypatch.setattr(certifying, "DOUBLE", Precision("exact", 0.0, 0.0, math.inf))
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


@pytest.mark.parametrize("seed", range(12))
def test_no_float32_evaluation_goes_below_its_bounds(seed):
    """On graphs with hidden biases that a later mean removes: at random float32 points and their last-bit neighbours,
    in batches of one and of many, which sum in another order.
    """
    double, single = strained(seed).double(), strained(seed)
    graph = network(double, double.shape)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, *double.shape, generator=generator)
    order = single(x).argsort(1, descending=True)
    for norm, epsilon in (("l2", 0.0), ("l2", 0.05), ("linf", 0.01)):
        relaxed = Relaxation(steps(graph), ball(x.double(), epsilon, norm), SINGLE)
        relaxed.fill()
        pairs = compared(torch.ones(2, order.shape[1] - 1, dtype=torch.bool), order.shape[1])
        bounds = leads(relaxed, pairs, order)
        for _ in range(20):
            noise = torch.randn(x.shape, generator=generator, dtype=torch.float64)
            if norm == "l2":
                noise = noise / noise.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
            point = (x.double() + epsilon * (1 - 1e-3) * noise.clamp(-1, 1)).float()
            whole = single(point).double()
            apart = torch.cat([single(each[None]) for each in point]).double()
            for out in (whole, apart, double(point.double())):
                ranked = out.gather(1, order)
                assert bool((bounds <= ranked[:, pairs[:, 0]] - ranked[:, pairs[:, 1]]).all()), (norm, epsilon)


def test_float32_costs_what_its_biases_hide():
    """Biases of 2¹⁷ to 2²⁴ that the next layer takes off: exact logits keep their lead, float32 loses it by itself."""
    held, lost = [], 0
    for exponent in (4, 17, 20, 24):
        first, second = nn.Linear(2, 2), nn.Linear(2, 2)
        with torch.no_grad():
            first.weight.copy_(torch.eye(2))
            first.bias.fill_(2.0**exponent)
            second.weight.copy_(torch.eye(2))
            second.bias.fill_(-(2.0**exponent))
        model = nn.Sequential(first, nn.ReLU(), second).requires_grad_(False)
        graph = network(model, (2,))
        x = torch.tensor([[1e-3, 0.0]], dtype=torch.float64)
        _, real = certified(graph, x, 1e-4, "l2")
        _, single = certified(graph, x, 1e-4, "l2", arithmetic="float32")
        assert bool(real.held[0, 0])
        held.append(bool(single.held[0, 0]))
        near = x.float() - torch.tensor([[1e-4, -1e-4]]) / 2
        out = model.float()(near)
        lost += bool(out[0, 0] <= out[0, 1])
    assert held == [True, False, False, False]
    assert lost >= 1


def test_float32_refuses_a_layer_whose_rounding_is_not_counted():
    model = nn.Sequential(nn.Linear(4, 4), Householder(4), nn.Linear(4, 2)).requires_grad_(False)
    with pytest.raises(Unsupported, match="Householder in float32"):
        certified(network(model, (4,)), torch.zeros(1, 4, dtype=torch.float64), 0.1, "l2", arithmetic="float32")


def test_what_float32_cannot_hold_is_not_certified():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)).requires_grad_(False)
    with torch.no_grad():
        model[0].weight.fill_(1e25)
        model[2].weight.copy_(torch.tensor([[1e20, 0.0], [0.0, 0.0]]))
        model[2].bias.zero_()
    graph, x = network(model, (2,)), torch.ones(1, 2, dtype=torch.float64)
    assert bool(certified(graph, x, 0.1, "l2")[1].held.all())
    assert not bool(certified(graph, x, 0.1, "l2", arithmetic="float32")[1].held.any())


def test_only_what_is_wanted_is_said():
    model = Graph(3)
    graph = network(model, model.shape)
    x = torch.randn(2, *model.shape, dtype=torch.float64)
    orders = graph(x).argsort(1, descending=True)
    wanted = torch.tensor([[True], [False]])
    done = []
    found = certify_locally(graph, x, 1e-3, "l2", wanted, orders, seconds=0.0, progress=done.append)
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
    found = certify_locally(graph, x, 0.1, "l2", torch.ones(3, 1, dtype=torch.bool), orders, seconds=0.1)
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
