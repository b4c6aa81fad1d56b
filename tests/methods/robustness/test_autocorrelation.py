"""Gram matrices from a kernel's correlation with itself: the same bound as from products of blocks, and as sound."""

import math

import pytest
import torch
from torch import nn

from auditor.methods.robustness import operator_norm_bound
from auditor.methods.robustness.autocorrelation import Autocorrelation
from tests.methods.robustness.random_layers import exact_norm, random_convolution, random_transposed, redraw

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")


def wherever_possible(self, rows, inputs):
    aliases = math.prod(self.strides)
    return rows <= inputs * aliases or aliases == 1


def never(self, rows, inputs):
    return False


@pytest.mark.parametrize("draw_layer", [random_convolution, random_transposed])
def test_bounds_hold_on_random_layers_of_any_size(monkeypatch, draw_layer):
    generator = torch.Generator().manual_seed(7)
    for _ in range(400):
        layer, shape = draw_layer(generator)
        with monkeypatch.context() as patch:
            patch.setattr(Autocorrelation, "worthwhile", never)
            usual = operator_norm_bound(layer, shape)
            patch.setattr(Autocorrelation, "worthwhile", wherever_possible)
            bound = operator_norm_bound(layer, shape)
        assert bound >= exact_norm(layer, shape) * (1 - 1e-13), (layer, shape)
        assert bound == pytest.approx(usual, rel=1e-7), (layer, shape)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(32, 40, 3, padding=1), (32, 4, 4)),
        (nn.Conv2d(40, 32, 3, padding=1), (40, 4, 4)),
        (nn.Conv2d(36, 72, 4, 2, 1), (36, 4, 4)),
        (nn.Conv2d(80, 64, 3, padding=1, groups=2), (80, 3, 3)),
        (nn.Conv1d(32, 32, 5, 3, 2, dilation=2), (32, 15)),
        (nn.ConvTranspose2d(48, 36, 3, 2, 1), (48, 3, 3)),
    ],
    ids=str,
)
def test_wide_layers_take_this_way_and_stay_tight(monkeypatch, layer, shape):
    layer = layer.double()
    redraw(layer, torch.Generator().manual_seed(3))
    taken = []
    honest = Autocorrelation.eigenvalue_upper
    monkeypatch.setattr(Autocorrelation, "eigenvalue_upper", lambda *a, **k: taken.append(True) or honest(*a, **k))
    bound = operator_norm_bound(layer, shape)
    assert taken
    assert bound >= exact_norm(layer, shape) * (1 - 1e-13)
    monkeypatch.setattr(Autocorrelation, "worthwhile", never)
    assert bound == pytest.approx(operator_norm_bound(layer, shape), rel=1e-8)
