import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from auditor.methods.training import MinMax, orthogonal_


@given(st.integers(0, 2**31), st.integers(1, 6), st.sampled_from([1, 2, -1]))
def test_minmax_permutes_and_does_not_expand(seed, half, dim):
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, 3, 2 * half, 2 * half, 2 * half, generator=generator, dtype=torch.float64)
    layer = MinMax(dim)
    assert torch.equal(layer(x).flatten().sort().values, x.flatten().sort().values)
    for norm in (1, 2, torch.inf):
        assert (layer(x) - layer(y)).flatten().norm(norm) <= (x - y).flatten().norm(norm) + 1e-12


def test_minmax_preserves_the_norm_of_gradients():
    x = torch.randn(4, 8, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(4, 8, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((MinMax()(x) * upstream).sum(), x)
    assert gradient.norm().item() == pytest.approx(upstream.norm().item())


def test_minmax_refuses_an_odd_number_of_channels():
    with pytest.raises(ValueError, match="even number"):
        MinMax()(torch.zeros(1, 3))


def test_orthogonal_initialisation_sets_all_singular_values_to_one():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(32, 16))
    orthogonal_(network, generator=torch.Generator().manual_seed(0))
    for layer in (network[0], network[2]):
        values = torch.linalg.svdvals(layer.weight.detach().flatten(1))
        torch.testing.assert_close(values, torch.ones_like(values), rtol=1e-5, atol=1e-5)
        assert layer.bias.abs().max() == 0
