"""∞-norms of layers: the row sums of the unrolled matrix, exact with zero padding, never below with any other."""

import pytest
import torch
from torch import nn

from auditor.methods.robustness import operator_norm_bound
from auditor.methods.robustness.supremum import row_sum_upper
from auditor.methods.training.layers import MinMax
from tests.methods.robustness.random_layers import random_convolution, random_dense, unrolled

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")


def row_sums(layer, shape):
    """`unrolled` is transposed: its columns are the rows of the layer's matrix."""
    return float(unrolled(layer, shape).abs().sum(0).max())


def check(draw_layer, trials, seed):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(trials):
        layer, shape = draw_layer(generator)
        exact, bound = row_sums(layer, shape), operator_norm_bound(layer, shape, "linf")
        assert bound >= exact * (1 - 1e-13), (layer, shape)
        if getattr(layer, "padding_mode", "zeros") == "zeros":
            assert bound <= exact * (1 + 1e-12) + 1e-300, (layer, shape)


@pytest.mark.parametrize("draw_layer", [random_dense, random_convolution])
def test_bounds_are_the_row_sums_of_random_layers(draw_layer):
    check(draw_layer, 400, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("draw_layer", [random_dense, random_convolution])
def test_bounds_are_the_row_sums_of_many_random_layers(draw_layer):
    check(draw_layer, 4000, seed=1)


@pytest.mark.parametrize(
    "layer",
    [
        nn.AvgPool2d(3, 2, 1),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, divisor_override=2),
        nn.AdaptiveAvgPool2d((3, 2)),
    ],
    ids=str,
)
def test_average_pooling_is_its_row_sums(layer):
    exact, bound = row_sums(layer, (2, 7, 6)), operator_norm_bound(layer, (2, 7, 6), "linf")
    assert exact * (1 - 1e-13) <= bound <= exact * (1 + 1e-12)


@pytest.mark.parametrize(
    "layer", [nn.MaxPool2d(3, 1, 1), nn.ReLU(), MinMax(), nn.Flatten(), nn.Dropout().eval()], ids=str
)
def test_what_picks_or_moves_entries_is_1_lipschitz(layer):
    assert operator_norm_bound(layer, (2, 8, 8), "linf") == 1.0


@pytest.mark.parametrize("scale", [1e-310, 5e-324, 1e-200, 1e300])
def test_row_sums_hold_at_any_scale(scale):
    weight = torch.full((3, 2), scale, dtype=torch.float64)
    assert 2 * scale <= row_sum_upper(weight) <= max(2 * scale * (1 + 1e-12), 2.5e-323)


def test_an_entry_error_counts_in_full():
    weight = torch.tensor([[1.0, -1.0], [0.0, 0.5]], dtype=torch.float64)
    assert 2 * (1 + 1e-3) <= row_sum_upper(weight, entry_error=1e-3) <= 2.0021
