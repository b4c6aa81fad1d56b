"""The error of float64 logits from the norms that a pass meets: measured in 80 bits; the steps that it is made of."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from auditor.methods.robustness import bound_model
from auditor.methods.robustness.elementary import Sum
from auditor.methods.robustness.graph import network
from auditor.methods.robustness.met_pass import MetPass, met_logits, sharpened_error

wide = pytest.mark.skipif(bool(np.finfo(np.longdouble).eps > 1e-18), reason="long double is no wider than double here")


class Residual(nn.Module):
    """x + norm(linear(relu(norm(linear(x)))))."""

    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width), nn.BatchNorm1d(width)
        )

    def forward(self, x):
        return x + self.body(x)


def residual_network(seed, width=12, depth=4, bias=0.0, spread=2):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(5, width), *(Residual(width) for _ in range(depth)), nn.Linear(width, 3)).double()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.weight.data = torch.randn(width, dtype=torch.float64) * 10.0 ** torch.randint(
                -spread, spread + 1, (width,)
            )
            layer.running_mean = torch.randn(width, dtype=torch.float64) * (1 + bias)
            layer.running_var = torch.rand(width, dtype=torch.float64) + 0.01
        elif isinstance(layer, nn.Linear):
            layer.bias.data += bias
    return model.eval().requires_grad_(False)


def in_long_double(graph, x):
    """The logits of a graph of dense, rectifying and normalising layers and sums, in 80-bit arithmetic."""
    values = [x.numpy().astype(np.longdouble)]
    for node in graph.nodes[1:]:
        layer, taken = node.layer, [values[each] for each in node.inputs]
        if isinstance(layer, nn.Linear):
            values.append(taken[0] @ layer.weight.numpy().astype(np.longdouble).T + layer.bias.numpy())
        elif isinstance(layer, nn.BatchNorm1d):
            names = ("running_mean", "running_var", "weight", "bias")
            mean, var, gain, bias = (getattr(layer, name).numpy().astype(np.longdouble) for name in names)
            values.append((taken[0] - mean) / np.sqrt(var + np.longdouble(layer.eps)) * gain + bias)
        elif isinstance(layer, nn.ReLU):
            values.append(np.maximum(taken[0], 0))
        else:
            assert isinstance(layer, Sum)
            values.append(sum(sign * each for sign, each in zip(layer.signs, taken, strict=True)))
    return values[-1]


@wide
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 2.0**17, 2.0**24]))
def test_float64_errs_by_no_more_than_stated_and_less_than_the_weights_say(seed, bias):
    model = residual_network(seed, bias=bias)
    x = torch.randn(20, 5, dtype=torch.float64)
    bounds, graph = bound_model(model, (5,)), network(model, (5,))
    found = met_logits(MetPass(graph, bounds), x, batch=7)
    exact = in_long_double(graph, x)
    measured = np.linalg.norm((found.logits.numpy() - exact).astype(np.float64), axis=1)
    general = bounds.error.at(x.norm(dim=1))
    assert (measured <= found.error.numpy()).all()
    assert bool((found.error <= general).all())
    assert (np.linalg.norm((model(x).numpy() - exact).astype(np.float64), axis=1) <= general.numpy()).all()


def test_the_error_is_sharpened_where_it_counts_and_nowhere_else():
    model = residual_network(0, width=40, depth=12, spread=0)
    x = torch.randn(6, 5, dtype=torch.float64)
    bounds, graph = bound_model(model, (5,)), network(model, (5,))
    general = bounds.error.at(x.norm(dim=1))
    logits = model(x)
    made = []

    def ready():
        made.append(MetPass(graph, bounds))
        return made[-1]

    # Leads of 10¹² times the error, of that error, and none.
    first = torch.tensor([1e12, 1.0, 0.0, 1e12, 1e12, 1e12], dtype=torch.float64) * general
    stated = logits.clone()
    stated[:, 0] = stated[:, 1:].amax(1) + first
    error = sharpened_error(bounds, x, stated, ready)
    assert len(made) == 1
    assert torch.equal(error[[0, 3, 4, 5]], general[[0, 3, 4, 5]])
    assert bool((error <= general).all())
    error = sharpened_error(bounds, x, logits, ready)
    assert bool((error < general / 20).all())
    sure = sharpened_error(bounds, x[3:], stated[3:], lambda: pytest.fail("there is nothing to gain"))
    assert torch.equal(sure, general[3:])


def test_logits_that_lie_apart_from_those_of_the_pass_are_granted_what_lies_between():
    model = residual_network(1, width=40, depth=12, spread=0)
    x = torch.randn(4, 5, dtype=torch.float64)
    bounds, graph = bound_model(model, (5,)), network(model, (5,))
    logits = model(x)
    general = bounds.error.at(x.norm(dim=1))
    moved = logits + general[:, None] / 10
    apart = (moved - logits).norm(dim=1)
    error = sharpened_error(bounds, x, moved, lambda: MetPass(graph, bounds))
    assert bool((error >= apart).all())
    assert bool((error < general).all())


def test_a_normalisation_makes_one_step_with_the_layer_before_it():
    torch.manual_seed(0)
    convolution, norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
    norm.weight.data = 10.0 ** torch.linspace(-2, 2, 8)
    norm.running_mean = torch.randn(8)
    model = nn.Sequential(convolution, norm, nn.Flatten(), nn.Linear(8 * 36, 3)).eval().requires_grad_(False)
    bounds = bound_model(model, (3, 6, 6), arithmetic="float32")
    alone, together = bounds.steps[:2]
    assert (alone.inputs, together.inputs) == ((0,), (0,))
    assert together.layer.stretch == bounds.layers[0].lipschitz_upper
    x = torch.randn(50, 3, 6, 6)
    single = model(x).double()
    model.double()
    error = bounds.error.at(x.double().flatten(1).norm(dim=1))
    assert bool(((single - model(x.double())).norm(dim=1) <= error).all())


def test_a_layer_that_others_take_too_makes_a_step_of_its_own():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.norm, self.last = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)

        def forward(self, x):
            y = self.linear(x)
            return self.last(self.norm(y).relu() + y)

    model = Twice().eval().requires_grad_(False)
    steps = bound_model(model, (4,)).steps
    assert [step.inputs for step in steps[:2]] == [(0,), (1,)]
    assert steps[0].layer.stretch < steps[0].layer.mass


def test_terms_of_a_sum_add_their_errors():
    """Side by side, √2 · √(a² + b²) would be more than a + b where one is small."""

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            y = self.first(x).relu()
            return self.last(y + self.second(y).relu())

    torch.manual_seed(0)
    model = Small().eval().requires_grad_(False)
    with_it = bound_model(model, (4,)).error.slope
    model.second.weight.zero_()
    without = bound_model(model, (4,)).error.slope
    model.second.weight.fill_(1e-9)
    assert without < bound_model(model, (4,)).error.slope < 1.001 * without < with_it
