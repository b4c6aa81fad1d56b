import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from auditor.methods.robustness import bound_model
from auditor.methods.robustness.operator_norms import operator_norm_bound
from auditor.methods.training.layers import (
    GroupSort,
    Householder,
    LinearResidual,
    MinMax,
    invertible_downsampling,
    orthogonal_,
    orthogonal_operator_,
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def turned(channels: int, generator: torch.Generator) -> Householder:
    """A Householder activation with angles at random."""
    layer = Householder(channels).double()
    with torch.no_grad():
        layer.theta.copy_(20 * torch.rand(channels // 2, generator=generator) - 10)
    return layer


def unrolled(layer: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    """The matrix [outputs, inputs] of a linear layer without bias."""
    columns = layer(torch.eye(torch.Size(shape).numel(), dtype=torch.float64).reshape(-1, *shape))
    return columns.flatten(1).T


@given(st.integers(0, 2**31), st.integers(1, 6), st.sampled_from([1, 2, -1]), st.sampled_from([None, 2, 3]))
def test_sorting_permutes_and_does_not_expand(seed, groups, dim, size):
    width = groups * (size or 2)
    x, y = torch.randn(2, 3, width, width, width, generator=seeded(seed), dtype=torch.float64)
    layer = MinMax(dim) if size is None else GroupSort(size, dim)
    assert torch.equal(layer(x).flatten().sort().values, x.flatten().sort().values)
    for norm in (1, 2, torch.inf):
        assert (layer(x) - layer(y)).flatten().norm(norm) <= (x - y).flatten().norm(norm) + 1e-12


def test_groups_of_two_and_right_angles_make_minmax():
    x = torch.randn(5, 8, 3, generator=seeded(0), dtype=torch.float64)
    assert torch.equal(GroupSort(2)(x), MinMax()(x))
    torch.testing.assert_close(Householder(8).double()(x), MinMax()(x), rtol=0, atol=1e-6)


@given(st.integers(0, 2**31), st.integers(1, 5))
def test_householder_does_not_expand_and_stretches_the_largest_entry_by_at_most_root_two(seed, pairs):
    generator = seeded(seed)
    layer = turned(2 * pairs, generator)
    x, y = torch.randn(2, 7, 2 * pairs, generator=generator, dtype=torch.float64)
    y = x + (y - x) * 10.0 ** -(torch.arange(7)[:, None])
    moved, apart = layer(x) - layer(y), x - y
    assert (moved.norm(dim=1) <= apart.norm(dim=1) * (1 + 1e-9)).all()
    assert (moved.abs().amax(1) <= 2**0.5 * apart.abs().amax(1) * (1 + 1e-9)).all()
    torch.testing.assert_close(layer(x).norm(dim=1), x.norm(dim=1))


@pytest.mark.parametrize("layer", [MinMax(), GroupSort(4), turned(8, seeded(1))])
def test_activations_preserve_the_norm_of_gradients(layer):
    x = torch.randn(4, 8, generator=seeded(2), dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(4, 8, generator=seeded(3), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((layer(x) * upstream).sum(), x)
    assert gradient.norm().item() == pytest.approx(upstream.norm().item())


@pytest.mark.parametrize(("layer", "message"), [(MinMax(), "even"), (GroupSort(2), "divide"), (Householder(4), "4")])
def test_activations_refuse_channels_that_do_not_group(layer, message):
    with pytest.raises(ValueError, match=message):
        layer(torch.zeros(1, 3))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_certifier_knows_the_activations(norm):
    for layer in (MinMax(), GroupSort(4), Householder(8)):
        expected = 2**0.5 if norm == "linf" and isinstance(layer, Householder) else 1.0
        assert operator_norm_bound(layer, (8, 4, 4), norm) == pytest.approx(expected, abs=1e-12)
        assert operator_norm_bound(layer, (8, 4, 4), norm) >= expected


def test_float32_is_as_near_as_the_certifier_takes_it_to_be():
    generator = seeded(4)
    model = nn.Sequential(turned(16, generator).float(), nn.Linear(16, 3))
    bounds = bound_model(model, (16,), arithmetic="float32")
    inputs = torch.randn(500, 16, generator=generator)
    exact = bounds.error.at(inputs.double().norm(dim=1))
    with torch.no_grad():
        found, truth = model(inputs).double(), model.double()(inputs.double())
    assert ((found - truth).norm(dim=1) <= exact).all()


def test_a_residual_block_is_bounded_as_one_convolution():
    block = LinearResidual(4)
    nn.init.dirac_(block.convolution.weight)
    block.convolution.weight.data.neg_()
    model = nn.Sequential(block, nn.Flatten(), nn.Linear(4 * 36, 2))
    assert bound_model(model, (4, 6, 6)).margins.max() < 1e-6, "x − x is 0, not 2"


def test_downsampling_keeps_every_pixel():
    x = torch.randn(2, 3, 4, 4, generator=seeded(5))
    assert torch.equal(invertible_downsampling()(x).flatten().sort().values, x.flatten().sort().values)


def test_orthogonal_initialisation_sets_all_singular_values_to_one():
    layers = nn.Conv2d(3, 8, 3), nn.Linear(32, 16)
    orthogonal_(nn.Sequential(*layers), generator=seeded(0))
    for layer in layers:
        values = torch.linalg.svdvals(layer.weight.detach().flatten(1))
        torch.testing.assert_close(values, torch.ones_like(values), rtol=1e-5, atol=1e-5)
        assert layer.bias is not None
        assert layer.bias.abs().max() == 0


@pytest.mark.parametrize(
    ("layer", "shape", "padded"),
    [
        (nn.Conv2d(4, 4, 3, padding=1), (4, 6, 6), False),
        (nn.Conv2d(3, 8, 5, padding=2), (3, 6, 6), False),
        (nn.Conv2d(2, 8, 4, stride=2, padding=1), (2, 8, 8), False),
        (nn.Conv2d(4, 4, 3, stride=2, padding=1), (4, 7, 7), True),
        (nn.Conv1d(6, 6, 3, padding=1, groups=3), (6, 9), False),
        (nn.Conv2d(2, 8, 2, stride=3), (2, 8, 8), False),
    ],
)
def test_a_convolution_starts_orthogonal_as_an_operator(layer, shape, padded):
    orthogonal_operator_(layer, generator=seeded(6))
    assert layer.bias.abs().max() == 0
    values = torch.linalg.svdvals(unrolled(layer.double(), shape))
    values = values[values > 1e-9]
    assert values.max().item() == pytest.approx(1, abs=1e-6)
    assert padded or values.min().item() == pytest.approx(1, abs=1e-6)


def test_operators_are_orthogonal_throughout_a_network():
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), MinMax(), nn.Flatten(), nn.Linear(64, 8))
    orthogonal_(network, generator=seeded(7), convolutions="operator")
    assert operator_norm_bound(network[0], (1, 4, 4)) == pytest.approx(1, abs=1e-5)
    assert operator_norm_bound(network[3], (64,)) == pytest.approx(1, abs=1e-5)
