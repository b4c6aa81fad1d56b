"""Layers beyond dense and convolutional ones: bounds never below the unrolled layer in either norm."""

import math

import pytest
import torch
from torch import nn

from auditor.errors import Unsupported
from auditor.methods.robustness import operator_norm_bound
from auditor.methods.robustness.operator_norms import layer_norm_upper
from tests.methods.robustness.random_layers import (
    draw,
    exact_norm,
    random_convolution,
    random_max_pooling,
    random_padding,
    random_pooling,
    random_transposed,
    random_upsampling,
    redraw,
    unrolled,
)

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")

ROUNDING_OF_THE_ORACLE = 1e-13
LINEAR = [random_transposed, random_pooling, random_padding, random_upsampling]
EXACT = {random_pooling, random_padding, random_upsampling}
"""Drawn layers whose 2-norm is met but for rounding."""


def check_linear(draw_layer, trials, seed):
    generator = torch.Generator().manual_seed(seed)
    refused = 0
    for _ in range(trials):
        layer, shape = draw_layer(generator)
        try:
            bound = operator_norm_bound(layer, shape)
        except Unsupported:
            refused += 1
            continue
        exact = exact_norm(layer, shape)
        assert bound >= exact * (1 - ROUNDING_OF_THE_ORACLE), (layer, shape)
        # Zero padding that crops everything away is 0, and 1 is said.
        assert draw_layer not in EXACT or bound <= exact * (1 + 1e-8) or exact == 0, (layer, shape)
        rows = float(unrolled(layer, shape).abs().sum(0).max())
        bound = operator_norm_bound(layer, shape, "linf")
        assert bound >= rows * (1 - ROUNDING_OF_THE_ORACLE), (layer, shape)
        # Dilation beyond the stride with output_padding may count a window more than there is.
        loose = draw_layer is random_transposed and any(
            extra >= stride for extra, stride in zip(layer.output_padding, layer.stride, strict=True)
        )
        if not loose and rows > 0:
            assert bound <= rows * (1 + 1e-12), (layer, shape)
    # Scales that float32 and float64 round to different pixels.
    assert refused <= (trials // 10 if draw_layer is random_upsampling else 0)


@pytest.mark.parametrize("draw_layer", LINEAR)
def test_bounds_hold_on_random_linear_layers(draw_layer):
    check_linear(draw_layer, 300, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("draw_layer", LINEAR)
def test_bounds_hold_on_thousands_of_random_linear_layers(draw_layer):
    check_linear(draw_layer, 3000, seed=1)


def check_max_pooling(trials, seed):
    """Against the steepest of many directions: all pixels equal, then the best-seen pixel raised."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(trials):
        layer, shape = random_max_pooling(generator)
        size = math.prod(shape)
        spikes = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
        seen = float(layer(spikes).flatten(1).norm(dim=1).max())
        bound = operator_norm_bound(layer, shape)
        assert bound == pytest.approx(seen, rel=1e-12), (layer, shape)
        assert bound >= seen * (1 - ROUNDING_OF_THE_ORACLE)
        assert operator_norm_bound(layer, shape, "linf") == 1.0


def test_max_pooling_counts_the_windows_that_see_a_pixel():
    check_max_pooling(400, seed=0)


@pytest.mark.slow
def test_max_pooling_counts_the_windows_that_see_a_pixel_thousands_of_times():
    check_max_pooling(4000, seed=1)


def test_a_window_of_padding_alone_is_refused():
    with pytest.raises(Unsupported, match="only padding"):
        operator_norm_bound(nn.MaxPool1d(2, dilation=4, padding=1), (1, 3))


def test_a_transposed_convolution_has_the_norm_of_its_convolution():
    generator = torch.Generator().manual_seed(2)
    for _ in range(100):
        layer, shape = random_convolution(generator)
        if layer.padding_mode != "zeros" or layer.padding == "same":
            continue
        image = layer(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:]
        extra = tuple(
            n - ((m - 1) * s - 2 * p + d * (k - 1) + 1)
            for n, m, s, p, d, k in zip(
                shape[1:], image[1:], layer.stride, layer.padding, layer.dilation, layer.kernel_size, strict=True
            )
        )
        kind = getattr(nn, type(layer).__name__.replace("Conv", "ConvTranspose"))
        adjoint = kind(
            layer.out_channels, layer.in_channels, layer.kernel_size, layer.stride, layer.padding, extra, layer.groups,
            dilation=layer.dilation,
        ).double()  # fmt: skip
        with torch.no_grad():
            adjoint.weight.copy_(layer.weight)
        assert torch.allclose(unrolled(adjoint, tuple(image)), unrolled(layer, shape).mT)
        assert operator_norm_bound(adjoint, tuple(image)) == operator_norm_bound(layer, shape)


@pytest.mark.parametrize("stride", [1, 2])
def test_transposed_bounds_are_tight_on_large_outputs(stride):
    generator = torch.Generator().manual_seed(5)
    for _ in range(10):
        taps = draw(generator, 2, 4)
        layer = nn.ConvTranspose2d(3, 2, taps, stride, padding=(taps - 1) // 2).double()
        redraw(layer, generator)
        shape = (3, -(-4 * taps // stride), -(-4 * taps // stride))
        exact, bound = exact_norm(layer, shape), operator_norm_bound(layer, shape)
        assert exact * (1 - 1e-13) <= bound <= 1.15 * exact


def test_another_weight_takes_the_place_of_a_transposed_layers_own():
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2).double()
    weight = 2 * layer.weight.detach()
    for norm in ("l2", "linf"):
        own = layer_norm_upper(layer, (2, 5, 5), norm=norm)
        doubled = layer_norm_upper(layer, (2, 5, 5), norm=norm, weight=weight, entry_error=1e-3)
        assert 2 * own <= doubled <= 2.2 * own


def test_long_axes_are_bounded_without_their_matrix():
    assert operator_norm_bound(nn.AvgPool1d(4), (1, 16000)) == pytest.approx(0.5, rel=1e-9)
    assert operator_norm_bound(nn.AvgPool1d(4), (1, 16000), "linf") == pytest.approx(1.0, rel=1e-9)
    short, long = (operator_norm_bound(nn.AvgPool1d(5, 2, 2), (1, size)) for size in (2000, 20000))
    assert short <= long <= 1.2 * short
    layer = nn.Upsample(scale_factor=2, mode="linear")
    short, long = (operator_norm_bound(layer, (1, size)) for size in (2000, 20000))
    assert short * (1 - 1e-5) <= long <= 1.2 * short


@pytest.mark.parametrize(
    "layer", [nn.ChannelShuffle(2), nn.Unflatten(1, (2, 2)), nn.ZeroPad2d(1), nn.ReplicationPad2d(0)], ids=str
)
def test_moving_entries_costs_nothing(layer):
    for norm in ("l2", "linf"):
        assert operator_norm_bound(layer, (4, 3, 3), norm) == 1.0


@pytest.mark.parametrize(
    ("layer", "shape", "said", "remedy"),
    [
        (nn.LayerNorm(3), (3,), "statistic", "BatchNorm"),
        (nn.GroupNorm(1, 3), (3, 2), "statistic", "BatchNorm"),
        (nn.InstanceNorm2d(3), (3, 2, 2), "statistic", "BatchNorm"),
        (nn.Softmax2d(), (3, 2, 2), "logits", "leave the softmax out"),
        (nn.Bilinear(2, 2, 2), (2,), "multiplies", "method: smoothing"),
        (nn.GRU(2, 2), (2, 2), "loop over time", "method: smoothing"),
        (nn.MultiheadAttention(2, 1), (2, 2), "multiplies", "method: smoothing"),
        (nn.FractionalMaxPool2d(2, 2), (1, 4, 4), "at random", "AdaptiveMaxPool"),
        (nn.LPPool2d(2, 2), (1, 4, 4), "root", "AvgPool"),
        (nn.Hardshrink(), (3,), "jumps", "Softshrink"),
        (nn.Upsample(scale_factor=2, mode="bicubic"), (1, 4, 4), "bicubic", "bilinear"),
        (nn.ConstantPad1d(1, math.inf), (1, 4), "value inf", "finite"),
        (nn.Unflatten(0, (1, -1)), (4,), "unflattens", "after the batch"),
        (nn.ConvTranspose2d(1, 1, 2), (1, 4), "2 sizes", "shape"),
        (nn.Fold(2, 2), (1, 4), "no bound", "use one of"),
    ],
)
def test_refusals_say_what_would_work(layer, shape, said, remedy):
    with pytest.raises(Unsupported, match=said) as refused:
        operator_norm_bound(layer, shape)
    assert remedy in (refused.value.remedy or "")
