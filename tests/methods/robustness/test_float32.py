"""`arithmetic: float32`: what torch's float32 makes of logits is within its bound, at x and at every neighbour."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from auditor.errors import Unsupported
from auditor.methods.robustness import bound_model, certify
from auditor.methods.robustness.graph import Node, network
from auditor.methods.robustness.layer_error import SINGLE, layer_error
from auditor.methods.robustness.met_error import measured_norm, norm_line
from auditor.methods.robustness.met_pass import MetPass, met_logits
from tests.methods.robustness.random_graphs import Graph

ACTIVATIONS = [
    nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-0.3, 0.7), nn.Tanh(), nn.Softsign(), nn.Tanhshrink(), nn.Softshrink(0.3),
    nn.Threshold(0.1, 0.1), nn.LogSigmoid(), nn.Softplus(threshold=40), nn.Softplus(beta=3, threshold=40), nn.Sigmoid(),
    nn.Hardsigmoid(), nn.Hardswish(), nn.LeakyReLU(0.1), nn.PReLU(init=-1.3), nn.RReLU(0.1, 0.3), nn.ELU(1.7),
    nn.CELU(0.3), nn.SELU(), nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU(), nn.Mish(),
]  # fmt: skip


def many_floats(count, seed=0):
    """Float32 numbers of every sign and of exponents from −100 to 30."""
    generator = torch.Generator().manual_seed(seed)
    mantissa = 1 + torch.rand(count, generator=generator, dtype=torch.float64)
    exponent = torch.randint(-100, 31, (count,), generator=generator)
    near = torch.randint(-12, 5, (count // 2,), generator=generator)
    exponent[: count // 2] = near
    sign = 1 - 2 * torch.randint(0, 2, (count,), generator=generator)
    return (sign * mantissa * 2.0**exponent).float()


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=str)
def test_elementwise_functions_err_by_no_more_than_stated(layer):
    layer = layer.eval().requires_grad_(False)
    double = copy.deepcopy(layer).double()
    x = many_floats(400_000)
    stated = layer_error(Node("f", double, (0,), (1,), (1,), None), {}, SINGLE)
    error = (layer(x).double() - double(x.double())).abs()
    allowed = stated.relative * (stated.mass * x.double().abs() + stated.constant) + SINGLE.tiny
    assert bool((error <= allowed).all()), float((error / allowed).max())
    assert float((error / allowed).max()) > 0 or isinstance(layer, (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Threshold))


@pytest.mark.parametrize("seed", range(40))
def test_float32_logits_of_random_networks_stay_within_the_bound(seed):
    model = Graph(seed).float()
    bounds = bound_model(model, model.shape, arithmetic="float32")
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(8, *model.shape, generator=generator)
    x[4:] *= 1000
    error = bounds.error.at(x.double().flatten(1).norm(dim=1))
    measured = (model(x).double() - model.double()(x.double())).norm(dim=1)
    assert bool((measured <= error).all())
    assert bool(error.isfinite().all())


@pytest.mark.parametrize("seed", range(40))
def test_the_error_from_the_norms_met_covers_what_is_measured_and_is_no_looser(seed):
    model = Graph(seed).float()
    x = 10 * torch.randn(8, *model.shape, generator=torch.Generator().manual_seed(seed))
    bounds = bound_model(model, model.shape, arithmetic="float32")
    general = bounds.error.at(x.double().flatten(1).norm(dim=1))
    run = MetPass(network(model, model.shape), bounds)
    logits, met = met_logits(run, x, batch=3)
    single, exact = model(x).double(), model.double()(x.double())
    assert bool(((single - exact).norm(dim=1) + (logits.double() - exact).norm(dim=1) <= met).all())
    # A norm met is rounded up by γ of its length.
    assert bool((met <= general * (1 + 2.0**-24 * 2 * max(math.prod(n.output_shape) for n in run.network.nodes))).all())
    assert bool((met > 0).all())


def biased(bias):
    """f = [x, 0], computed by way of x + bias."""
    first, second = nn.Linear(1, 2), nn.Linear(2, 2)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0], [0.0]]))
        first.bias.copy_(torch.tensor([bias, bias]))
        second.weight.copy_(torch.tensor([[1.0, -1.0], [0.0, 0.0]]))
        second.bias.zero_()
    return nn.Sequential(first, nn.ReLU(), second).requires_grad_(False).eval()


@pytest.mark.parametrize(("bias", "epsilon"), [(2.0**17, 3e-4), (2.0**20, 2.5e-3), (2.0**24, 4e-2)])
def test_hidden_biases_are_certified_in_real_arithmetic_and_never_in_float32(bias, epsilon):
    """Float32 drops what is below a unit of the bias, and the lead of x over 0 with it."""
    model = biased(bias)
    x = torch.tensor([[1.5 * epsilon]])
    logits = model.double()(x.double())
    model.float()
    real, single = (bound_model(model, (1,), arithmetic=arithmetic) for arithmetic in ("real", "float32"))
    length = x.double().norm(dim=1)
    assert bool(certify(logits, real.reach, epsilon, logits_error=real.error.at(length)).certified)
    neighbours = x + epsilon * torch.linspace(-1, 1, 1001)[:, None]
    assert bool((model(neighbours)[:, 0] <= model(neighbours)[:, 1]).any()), "float32 loses the lead somewhere"
    for radius in (epsilon, epsilon / 100, 0.0):
        assert not bool(certify(logits, single.reach, radius, logits_error=single.error.at(length)).certified)
        computed, error = MetPass(network(model, (1,)), single)(x)
        assert not bool(certify(computed.double(), single.reach, radius, logits_error=error).certified)


def test_an_ordinary_network_is_certified_in_float32_a_little_less_far_than_in_real_arithmetic():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)).requires_grad_(False)
    x = torch.randn(64, 8)
    logits = model.double()(x.double())
    model.float()
    length = x.double().norm(dim=1)
    radii = []
    for arithmetic in ("real", "float32"):
        bounds = bound_model(model, (8,), arithmetic=arithmetic)
        radii.append(certify(logits, bounds.reach, 0.0, logits_error=bounds.error.at(length)).radius)
    assert bool((radii[1] < radii[0]).all())
    assert bool((radii[1] > radii[0] - 1e-4).all())


def norm_upper(values):
    line = norm_line(values[0].numel(), SINGLE)
    return line.slope * measured_norm(values).double() + line.offset


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5000), st.sampled_from([-140, -70, -20, 0, 20, 60, 70, 127]))
def test_norms_met_are_never_below_the_norm(seed, count, exponent):
    values = torch.randn(3, count, generator=torch.Generator().manual_seed(seed)) * 2.0**exponent
    exact = values.double().norm(dim=1)
    assert bool((norm_upper(values) >= exact).all())
    if abs(exponent) <= 20:
        assert bool((norm_upper(values) <= exact * (1 + 2.0**-23 * (count + 10))).all())


def test_long_norms_are_summed_in_float64():
    values = torch.full((1, (1 << 16) + 1), 0.1)
    assert 0 <= float(norm_upper(values) / values.double().norm() - 1) < 1e-8


def test_a_pass_wants_the_bounds_of_its_own_network_and_inputs_of_its_arithmetic():
    model = biased(1.0)
    graph = network(model, (1,))
    with pytest.raises(ValueError, match="same model"):
        MetPass(graph, bound_model(nn.Linear(1, 2), (1,), arithmetic="float32"))
    single, real = bound_model(model, (1,), arithmetic="float32"), bound_model(model, (1,))
    for bounds, other in ((single, torch.float64), (real, torch.float32)):
        run = MetPass(graph, bounds)
        with pytest.raises(ValueError, match=str(other)):
            run(torch.zeros(1, 1, dtype=other))


def test_no_radius_reaches_where_float32_may_overflow():
    """A tiny slope alone would certify the constant lead at any distance; float32 makes NaN of the neighbour."""
    first, second = nn.Linear(1, 1), nn.Linear(1, 2)
    model = nn.Sequential(first, second).requires_grad_(False)
    first.weight.fill_(1e20)
    first.bias.zero_()
    second.weight.copy_(torch.tensor([[1e-30], [0.0]]))
    second.bias.copy_(torch.tensor([1e12, 0.0]))
    far = 1e19
    assert not bool(model(torch.tensor([[far]])).isfinite().all())
    bounds = bound_model(model, (1,), arithmetic="float32")
    logits, error = MetPass(network(model, (1,)), bounds)(torch.zeros(1, 1))
    without = certify(logits.double(), bounds.reach, far, logits_error=error)
    capped = certify(logits.double(), bounds.reach, far, logits_error=error, within=bounds.error.within)
    assert bool(without.certified), "else this tests nothing"
    assert not bool(capped.certified)
    assert float(capped.radius) == bounds.error.within < far
    assert math.isinf(bound_model(model, (1,)).error.within)


def test_the_error_grows_with_the_distance():
    bounds = bound_model(biased(1.0), (1,), "l2", arithmetic="float32")
    assert bounds.growth > 0
    off = bounds.reach[0, 1] - bounds.margins[0, 1]
    assert float(off) >= math.sqrt(2) * bounds.growth
    assert bool((bounds.reach.diagonal() == 0).all())
    real = bound_model(biased(1.0), (1,))
    assert torch.equal(real.reach, real.margins)


def test_weights_beyond_float32_are_refused():
    layer = nn.Linear(4, 2).double()
    with torch.no_grad():
        layer.weight.fill_(0.1)
    model = nn.Sequential(layer)
    with pytest.raises(Unsupported, match="float32"):
        bound_model(model, (4,), arithmetic="float32")
    bound_model(model, (4,))


def test_weights_that_are_computed_at_every_use_are_refused():
    """Float32 computes them with an error that no layer's figures count; stored, they are as any others."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.utils.parametrizations.orthogonal(nn.Linear(4, 4)), nn.Linear(4, 2)).eval()
    with pytest.raises(Unsupported, match="computed at every use"):
        bound_model(model, (4,), arithmetic="float32")
    nn.utils.parametrize.remove_parametrizations(model[0], "weight")
    bound_model(model, (4,), arithmetic="float32")


def test_nothing_is_certified_where_float32_overflows():
    model = nn.Sequential(nn.Linear(2, 2)).requires_grad_(False)
    bounds = bound_model(model, (2,), arithmetic="float32")
    assert math.isinf(float(bounds.error.at(torch.tensor([1e38], dtype=torch.float64))))
    assert math.isfinite(float(bounds.error.at(torch.tensor([1e3], dtype=torch.float64))))


@pytest.mark.parametrize("layer", [nn.Upsample(scale_factor=2, mode="bilinear"), nn.Softplus(threshold=90)])
def test_layers_whose_float32_form_is_not_bounded_are_refused(layer):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), layer, nn.Flatten(), nn.LazyLinear(2))
    model(torch.zeros(1, 1, 4, 4))
    bound_model(model.eval(), (1, 4, 4))
    with pytest.raises(Unsupported, match="1") as refused:
        bound_model(model.eval(), (1, 4, 4), arithmetic="float32")
    assert refused.value.remedy
