"""Sorting, reflecting and taking maxima as selections, sums and ReLUs: the same values; and affine parts as claimed."""

import pytest
import torch

from auditor.methods.layers import GroupSort, Householder, MinMax
from auditor.methods.robustness.graph import network
from auditor.methods.robustness.linear_bounds.affine import affine
from auditor.methods.robustness.linear_bounds.curvature import shape
from auditor.methods.robustness.linear_bounds.lowering import lowered
from tests.methods.robustness.random_layers import (
    random_convolution,
    random_dense,
    random_max_pooling,
    random_padding,
    random_pooling,
    random_transposed,
    random_upsampling,
)


def householder():
    layer = Householder(6)
    with torch.no_grad():
        layer.theta.uniform_(-4, 4)
    return layer


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (MinMax(), (6, 2)), (MinMax(-1), (3, 4)), (MinMax(2), (3, 4)), (GroupSort(2), (6,)), (GroupSort(3), (6, 2)),
        (GroupSort(4, dim=2), (2, 8)), (GroupSort(5), (10,)), (GroupSort(1), (3,)), (householder(), (6, 3)),
    ],
    ids=str,
)  # fmt: skip
def test_sorting_and_reflecting_stay_the_same(layer, size):
    torch.manual_seed(0)
    graph = network(layer, size)
    made = lowered(graph)
    x = torch.randn(200, *size, dtype=torch.float64)
    torch.testing.assert_close(made(x), graph(x), rtol=1e-13, atol=1e-13)
    assert all(affine(node, shapes(made, node)) or shape(node.layer) for node in made.nodes[1:])


def shapes(graph, node):
    return tuple(graph.nodes[each].output_shape for each in node.inputs)


@pytest.mark.parametrize("seed", range(150))
def test_max_pooling_stays_the_same(seed):
    layer, size = random_max_pooling(torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)
    x = torch.randn(5, 2, *size[1:], dtype=torch.float64)
    graph = network(layer, (2, *size[1:]))
    torch.testing.assert_close(lowered(graph)(x), graph(x), rtol=0, atol=1e-14)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(
    "draw", [random_convolution, random_dense, random_transposed, random_pooling, random_padding, random_upsampling]
)
@pytest.mark.parametrize("seed", range(25))
def test_the_parts_of_an_affine_layer_fit_each_other(draw, seed):
    """⟨a, Wz⟩ = ⟨Wᵀa, z⟩, and |W||z| + |b| is as written out; more where several taps meet one pixel."""
    generator = torch.Generator().manual_seed(seed)
    layer, size = draw(generator)
    node = network(layer.requires_grad_(False), size).nodes[-1]
    parts = affine(node, (size,))
    z = torch.randn(3, *size, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        zero = parts.value(torch.zeros_like(z))
        value = parts.value(z)
        a = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        (back,) = parts.adjoint(a)
        left, right = (a * (value - zero)).flatten(1).sum(1), (back * z).flatten(1).sum(1)
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)
        count = z[0].numel()
        columns = parts.value(torch.eye(count, dtype=torch.float64).reshape(count, *size)) - zero[:1]
        total = (columns.abs().flatten(1).T @ z.abs().flatten(1).T).T.reshape(value.shape) + zero.abs()
        if getattr(layer, "padding_mode", "zeros") == "zeros":
            torch.testing.assert_close(parts.absolute(z.abs()), total, rtol=1e-9, atol=1e-9)
        assert bool((parts.mass(z.abs()) >= total * (1 - 1e-12) - 1e-12).all())
