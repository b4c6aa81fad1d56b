"""Rounding of single layers: what float32 makes of a layer stays within its figures, for layers of every kind."""

import pytest
import torch
from torch import nn

from auditor.errors import Unsupported
from auditor.methods.robustness.graph import Node
from auditor.methods.robustness.layer_error import SINGLE, layer_error
from tests.methods.robustness.random_layers import (
    draw,
    random_convolution,
    random_dense,
    random_max_pooling,
    random_padding,
    random_pooling,
    random_transposed,
    random_upsampling,
)

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")


def excess(layer, shape, generator):
    """Largest error of evaluating `layer` in float32, as a multiple of what its figures allow."""
    layer = layer.float().eval()
    inputs = torch.randn(4, *shape, generator=generator) * 10.0 ** draw(generator, -3, 3)
    with torch.no_grad():
        computed = layer(inputs).double()
        layer = layer.double()
        exact = layer(inputs.double())
    node = Node("layer", layer, (0,), shape, tuple(exact.shape[1:]), None)
    figures = layer_error(node, {}, SINGLE)
    size = inputs.double().flatten(1).norm(dim=1)
    allowed = figures.relative * (figures.mass * size + figures.constant) + SINGLE.tiny
    return float(((computed - exact).flatten(1).norm(dim=1) / allowed).max())


@pytest.mark.parametrize(
    "draw_layer",
    [
        random_dense, random_convolution, random_transposed, random_pooling, random_max_pooling, random_padding,
        random_upsampling,
    ],
)  # fmt: skip
def test_float32_stays_within_the_figures(draw_layer):
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        layer, shape = draw_layer(generator)
        try:
            figures = excess(layer, shape, generator)
        except Unsupported:
            assert draw_layer is random_upsampling
            continue
        assert figures <= 1, (layer, shape)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Tanh(), nn.Sigmoid(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish(), nn.ELU(1.3), nn.SELU(), nn.CELU(0.4),
        nn.Softplus(1.5, 40), nn.LogSigmoid(), nn.Tanhshrink(), nn.Softsign(), nn.Hardswish(), nn.Hardsigmoid(),
        nn.PReLU(), nn.LeakyReLU(0.3), nn.Softshrink(), nn.Hardtanh(-0.3, 0.7),
        nn.BatchNorm1d(5),
    ],
    ids=str,
)  # fmt: skip
def test_float32_activations_stay_within_the_figures(layer):
    generator = torch.Generator().manual_seed(0)
    assert max(excess(layer, (5,), generator) for _ in range(200)) <= 1


def test_a_padding_constant_may_be_rounded():
    assert excess(nn.ConstantPad1d(2, 0.1), (1, 4), torch.Generator().manual_seed(0)) <= 1


def test_a_ceiling_that_a_relu6_was_given_may_be_rounded():
    layer = nn.ReLU6()
    layer.max_val = 0.1
    generator = torch.Generator().manual_seed(0)
    assert 0 < max(excess(layer, (5,), generator) for _ in range(20)) <= 1
