"""δ₆₄ covers what float64 really does to logits, measured against 80-bit arithmetic."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from auditor.methods.robustness import bound_model
from auditor.methods.robustness.graph import network


def in_long_double(model, shape, x):
    """The chain's dense, rectifying and scaling layers, in 80-bit arithmetic."""
    value = x.numpy().astype(np.longdouble)
    for step in network(model, shape).nodes[1:]:
        layer = step.layer
        if isinstance(layer, nn.Linear):
            weight, bias = (tensor.detach().numpy().astype(np.longdouble) for tensor in (layer.weight, layer.bias))
            value = value @ weight.T + bias
        elif isinstance(layer, nn.ReLU):
            value = np.maximum(value, 0)
        elif isinstance(layer, nn.BatchNorm1d):
            mean, var = (tensor.numpy().astype(np.longdouble) for tensor in (layer.running_mean, layer.running_var))
            gain, bias = (tensor.detach().numpy().astype(np.longdouble) for tensor in (layer.weight, layer.bias))
            value = (value - mean) / np.sqrt(var + np.longdouble(layer.eps)) * gain + bias
        else:
            value = np.where(value > 0, value, np.longdouble(layer.negative_slope) * value)
    return value


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="long double is no wider than double here")
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.sampled_from([0.0, 1.0, 2.0**17, 2.0**24]))
def test_the_bound_covers_the_measured_error(seed, width, hidden_bias):
    """Large hidden biases make float64 cancel; the bound must grow with them."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(5, width), nn.LeakyReLU(0.3), nn.BatchNorm1d(width), nn.Linear(width, width), nn.ReLU(),
        nn.Linear(width, 3),
    ).double().eval()  # fmt: skip
    with torch.no_grad():
        model[2].running_mean.normal_().mul_(1 + hidden_bias)
        model[2].running_var.uniform_(0.01, 2)
        model[3].bias.add_(hidden_bias)
    x = torch.randn(20, 5, dtype=torch.float64)
    error = bound_model(model, (5,)).error.at(x.norm(dim=1)).numpy()
    measured = np.linalg.norm((model(x).detach().numpy() - in_long_double(model, (5,), x)).astype(np.float64), axis=1)
    assert (measured <= error).all()
    assert (error > 0).all()


def test_the_bound_is_small_where_nothing_cancels():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 64, 10)).eval()
    bounds = bound_model(model, (3, 8, 8))
    assert 0 < bounds.error.slope < 1e-11 * bounds.network
    assert 0 < bounds.error.offset < 1e-10


@pytest.mark.parametrize("layer", [nn.Sigmoid(), nn.Tanh(), nn.AvgPool1d(2), nn.MaxPool1d(2), nn.Identity()])
def test_every_layer_has_an_error(layer):
    model = nn.Sequential(nn.Conv1d(1, 2, 3), layer, nn.Flatten(), nn.LazyLinear(3))
    model(torch.zeros(1, 1, 10))
    error = bound_model(model.eval(), (1, 10)).error
    assert 0 < float(error.at(torch.ones(1))) < 1e-11


def test_the_error_of_a_layer_is_carried_on_by_the_next():
    """A wide sum errs more than a narrow one, so the first layer's error dominates and is stretched by the second."""
    torch.manual_seed(0)
    first, second = nn.Linear(2000, 1), nn.Linear(1, 3)
    alone, both = bound_model(nn.Sequential(first), (2000,)), bound_model(nn.Sequential(first, second), (2000,))
    stretch = float(second.weight.detach().norm())
    assert both.error.slope >= stretch * alone.error.slope * (1 - 1e-6)
    assert both.error.offset >= stretch * alone.error.offset * (1 - 1e-6)
