"""Margin constants: closed forms of linear and binary models, folding, an audited model's wrappers, determinism."""

import math

import pytest
import torch
from torch import nn

from auditor.errors import Unsupported
from auditor.loading.audited import AuditedModel, Negate, Normalize, ZeroFirst
from auditor.methods.robustness import bound_model, certify, margin_bounds
from auditor.methods.robustness.lower_bounds import lipschitz_lower
from auditor.methods.training.layers import MinMax, orthogonal_


def row_distances(weight):
    weight = weight.detach().double()
    return (weight[:, None] - weight[None]).norm(dim=2)


def test_a_linear_model_has_exact_constants():
    torch.manual_seed(0)
    layer = nn.Linear(20, 7)
    constants, exact = margin_bounds(nn.Sequential(layer), (20,)), row_distances(layer.weight)
    assert bool((constants >= exact * (1 - 1e-15)).all())
    torch.testing.assert_close(constants, exact, rtol=1e-12, atol=0)
    assert constants.dtype == torch.float64
    assert bool((constants.diagonal() == 0).all())


def test_constants_never_exceed_the_sum_of_two_classes():
    torch.manual_seed(0)
    head = nn.Linear(5, 4)
    below = nn.Linear(8, 5)
    constants = margin_bounds(nn.Sequential(below, nn.ReLU(), head), (8,))
    under = float(torch.linalg.svdvals(below.weight.detach().double())[0])
    norms = under * head.weight.detach().double().norm(dim=1)
    assert bool((constants <= (norms[:, None] + norms[None]) * (1 + 1e-8)).all())
    assert torch.equal(constants, constants.T)


def test_equal_rows_of_the_head_have_a_constant_margin():
    head = nn.Linear(3, 2)
    with torch.no_grad():
        head.weight[1] = head.weight[0]
        head.bias.copy_(torch.tensor([1.0, 0.0]))
    constants = margin_bounds(nn.Sequential(head), (3,))
    assert float(constants.max()) == 0
    out = certify(torch.tensor([[1.0, 0.0]], dtype=torch.float64), constants, 1e6)
    assert bool(out.certified.all())
    assert math.isinf(float(out.radius))


def test_tiny_differences_of_rows_are_not_lost():
    head = nn.Linear(2, 2).double()
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 1e-200], [1.0, 0.0]], dtype=torch.float64))
    assert float(margin_bounds(nn.Sequential(head), (2,))[0, 1]) >= 1e-200


@pytest.mark.parametrize("scale", [1e-3, 1e-10, 1e-38, 1e-200, 1e60])
def test_deep_products_of_scaled_identities_never_fall_below_the_truth(scale):
    layers = [nn.Linear(2, 2, bias=False).double() for _ in range(4)]
    with torch.no_grad():
        for layer in layers:
            layer.weight.copy_(scale * torch.eye(2, dtype=torch.float64))
    constant = float(margin_bounds(nn.Sequential(*layers), (2,))[0, 1])
    exact = scale**4 * math.sqrt(2)
    assert constant >= exact
    assert constant > 0


def test_a_head_that_is_no_dense_layer_gets_the_general_bound():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 4), nn.Flatten()).eval()
    weight = model[0].weight.detach().double().reshape(3, -1)
    constants = margin_bounds(model, (1, 4, 4))
    assert bool((constants.fill_diagonal_(math.inf) >= row_distances(weight)).all())


def audited(network, shape, classes, **wrappers):
    return AuditedModel(network, classes=[str(c) for c in range(classes)], input_shape=shape, **wrappers)


def test_normalisation_takes_part_and_is_folded_through_a_flatten():
    torch.manual_seed(0)
    head = nn.Linear(2 * 9, 4)
    normalize = Normalize([0.1, 0.2], [0.5, 0.05], (2, 3, 3))
    model = audited(nn.Sequential(nn.Flatten(), head), (2, 3, 3), 4, normalize=normalize)
    scale = (1 / normalize.std.double().flatten()).repeat_interleave(9)
    exact = row_distances(head.weight.detach().double() * scale)
    constants = margin_bounds(model, (2, 3, 3))
    assert bool((constants >= exact * (1 - 1e-15)).all())
    torch.testing.assert_close(constants, exact, rtol=1e-10, atol=0)


def test_the_lowest_logit_deciding_leaves_constants_as_they_are():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3))
    expected = margin_bounds(network, (5,))
    negated = margin_bounds(audited(network, (5,), 3, decide=Negate()), (5,))
    torch.testing.assert_close(negated, expected, rtol=1e-12, atol=0)


def test_one_logit_is_read_against_zero():
    torch.manual_seed(0)
    layer = nn.Linear(5, 1)
    constants = margin_bounds(audited(nn.Sequential(layer), (5,), 2, decide=ZeroFirst()), (5,))
    exact = float(layer.weight.detach().double().norm())
    assert constants.shape == (2, 2)
    assert exact <= float(constants[0, 1]) <= exact * (1 + 1e-9)


@pytest.mark.parametrize("gamma", [0.01, 1.0, 100.0, -100.0])
def test_batch_normalisation_is_folded_into_its_neighbour(gamma):
    torch.manual_seed(0)
    first, norm, head = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)
    with torch.no_grad():
        norm.weight.fill_(1.0)
        norm.weight[0] = gamma
        norm.running_var.uniform_(0.1, 3)
    model = nn.Sequential(first, norm, nn.ReLU(), head).eval()
    scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
    below = float(torch.linalg.svdvals(scale[:, None] * first.weight.detach().double())[0])
    exact = below * row_distances(head.weight)
    constants = margin_bounds(model, (6,))
    assert bool((constants >= exact * (1 - 1e-14)).all())
    torch.testing.assert_close(constants, exact, rtol=1e-8, atol=0)


@pytest.mark.parametrize("groups", [1, 2])
def test_normalisation_before_a_convolution_scales_its_input_channels(groups):
    torch.manual_seed(0)
    norm, conv = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1, groups=groups)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 5.0, 0.2, 30.0]))
    head = nn.Linear(4 * 25, 3)
    model = nn.Sequential(nn.ReLU(), norm, conv, nn.Flatten(), head).double().eval()
    size = 4 * 25
    linear = nn.Sequential(norm, conv).eval()
    with torch.no_grad():
        images = linear(torch.eye(size, dtype=torch.float64).reshape(size, 4, 5, 5))
        matrix = (images - linear(torch.zeros(1, 4, 5, 5, dtype=torch.float64))).flatten(1)
    exact = float(torch.linalg.svdvals(matrix)[0]) * row_distances(head.weight)
    constants = margin_bounds(model, (4, 5, 5))
    assert bool((constants >= exact * (1 - 1e-13)).all())
    assert bool((constants <= 1.3 * exact).all())


@pytest.mark.parametrize("seed", range(5))
def test_observed_slopes_never_exceed_the_bound(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1), MinMax(), nn.MaxPool2d(2, 1), nn.Flatten(),
        nn.Linear(54, 20), nn.Tanh(), nn.Linear(20, 4),
    ).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    constants = margin_bounds(model, (2, 8, 8))
    observed = lipschitz_lower(model, torch.rand(16, 2, 8, 8), box=(0.0, 1.0))
    assert 0 < float(observed.max()) <= float(constants.max())


def test_the_lower_bound_of_a_linear_model_is_exact():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 2))
    observed, constants = lipschitz_lower(model, torch.randn(4, 10)), margin_bounds(model, (10,))
    torch.testing.assert_close(observed, constants[0, 1].expand(4), rtol=1e-8, atol=0)


def test_bounds_are_bit_identical_from_run_to_run():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), MinMax(), nn.Flatten(), nn.Linear(8 * 36, 10)).eval()
    first, second = bound_model(model, (3, 6, 6)), bound_model(model, (3, 6, 6))
    assert torch.equal(first.margins, second.margins)
    assert first.error == second.error


def test_the_model_itself_is_left_alone():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    margin_bounds(model, (4,))
    assert model.training
    assert next(model.parameters()).dtype == torch.float32
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.slow
def test_sixteen_near_orthogonal_layers_with_one_aligned_spike():
    """Each layer is orthogonal but for 2 % in a direction that the layers pass on: an error that compounds to 37 %."""
    generator = torch.Generator().manual_seed(0)
    width, depth = 1024, 16
    layers = []
    direction = torch.zeros(width, 1, dtype=torch.float64)
    direction[0] = 1
    for _ in range(depth):
        orthogonal, _ = torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64))
        layer = nn.Linear(width, width, bias=False).double()
        with torch.no_grad():
            layer.weight.copy_(orthogonal + 0.02 * (orthogonal @ direction) @ direction.T)
        direction = orthogonal @ direction
        layers.append(layer)
    bound = bound_model(nn.Sequential(*layers), (width,)).network
    assert 1.02**depth * (1 - 1e-12) <= bound <= 1.02**depth * (1 + 1e-7)


def test_orthogonal_networks_have_constant_one():
    torch.manual_seed(0)
    body = orthogonal_(nn.Sequential(nn.Linear(16, 16), MinMax(), nn.Linear(16, 16)))
    assert bound_model(body, (16,)).network == pytest.approx(1.0, rel=1e-6)


def test_a_final_softmax_is_refused():
    with pytest.raises(Unsupported, match="logits"):
        margin_bounds(nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1)).eval(), (4,))
