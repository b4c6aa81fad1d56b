"""Whole networks, drawn at random: no Jacobian anywhere exceeds what the weights alone allow."""

import pytest
import torch
from torch import nn

from auditor.loading.audited import AuditedModel, Negate, Normalize
from auditor.methods.robustness import bound_model
from auditor.methods.training.layers import MinMax


class Draw:
    """Random choices from one generator."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def between(self, low, high):
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def among(self, *options):
        return options[self.between(0, len(options) - 1)]

    def real(self, low, high):
        return low + (high - low) * float(torch.rand((), generator=self.generator))


def spatial_layer(draw, channels):
    taps = draw.between(1, 3)
    convolution = nn.Conv2d(
        channels,
        draw.among(2, 4, 6),
        taps,
        draw.among(1, 1, 2),
        draw.between(0, taps - 1),
        padding_mode=draw.among("zeros", "zeros", "circular", "replicate"),
    )
    return draw.among(
        convolution, convolution, nn.ReLU(), MinMax(), nn.Tanh(), nn.BatchNorm2d(channels), nn.PixelUnshuffle(2),
        nn.MaxPool2d(2, draw.among(1, 2)), nn.AvgPool2d(2, 1, ceil_mode=True), nn.AdaptiveAvgPool2d(draw.between(1, 3)),
        nn.LeakyReLU(draw.real(-2, 2)), nn.Flatten(), nn.Flatten(2),
    )  # fmt: skip


def flat_layer(draw, shape):
    return draw.among(
        nn.Linear(shape[-1], draw.between(1, 10)), nn.ReLU(), nn.Sigmoid(), nn.Tanh(), MinMax(dim=-1),
        nn.BatchNorm1d(shape[0]), nn.Flatten(), nn.Dropout(),
    )  # fmt: skip


def random_network(seed):
    """An audited model of up to six layers that fit together, in float64, and its input's shape."""
    torch.manual_seed(seed)
    draw = Draw(seed)
    shape = (draw.between(1, 3), *[draw.between(4, 8)] * 2)
    layers, current = [], shape

    def extended(layer):
        model = nn.Sequential(*layers, layer).double().eval()
        return tuple(model(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:])

    for _ in range(draw.between(1, 6)):
        layer = spatial_layer(draw, current[0]) if len(current) == 3 else flat_layer(draw, current)
        try:
            current = extended(layer)
        except (RuntimeError, ValueError):
            continue
        layers.append(layer)
    if len(current) > 1:
        layers.append(nn.Flatten())
        current = extended(nn.Identity())
    if current[0] < 2 or draw.between(0, 2):
        layers.append(nn.Linear(current[0], draw.between(2, 4)))
        current = extended(nn.Identity())
    with torch.no_grad():
        for layer in layers:
            if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
                layer.running_var.uniform_(0.05, 3)
                layer.weight.normal_()
    channels = shape[0]
    normalize = Normalize([0.3] * channels, [draw.real(0.1, 2) for _ in range(channels)], shape)
    return AuditedModel(
        nn.Sequential(*layers),
        classes=[str(c) for c in range(current[0])],
        input_shape=shape,
        normalize=draw.among(None, normalize),
        decide=draw.among(None, Negate()),
    ).double(), shape


def tightest(seeds):
    """The largest ratio of a Jacobian's norm to its bound met; asserts that none exceeds 1."""
    closest = 0.0
    for seed in seeds:
        model, shape = random_network(seed)
        bounds = bound_model(model, shape)
        points = torch.randn(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        for point in points:
            jacobian = torch.autograd.functional.jacobian(lambda x, model=model: model(x[None])[0], point).flatten(1)
            norm = float(torch.linalg.matrix_norm(jacobian, 2))
            margins = (jacobian[:, None] - jacobian[None]).norm(dim=2)
            assert norm <= bounds.network * (1 + 1e-12), (seed, model)
            assert bool((margins <= bounds.margins * (1 + 1e-12)).all()), (seed, model)
            closest = max(closest, norm / bounds.network if bounds.network else 0.0)
    return closest


def test_no_jacobian_exceeds_the_bound():
    assert tightest(range(100)) > 0.99, "the draw should hold nets whose bound is attained"


@pytest.mark.slow
def test_no_jacobian_of_a_thousand_networks_exceeds_the_bound():
    assert tightest(range(1000, 2000)) > 0.99
