import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from auditor.errors import Unsupported
from auditor.methods.robustness import margin_bounds
from auditor.methods.training.layers import Householder, LinearResidual, MinMax
from auditor.methods.training.lipschitz_estimate import LipschitzEstimate
from tests.methods.robustness.random_graphs import Graph


def estimator(model: nn.Module, shape: tuple[int, ...]) -> LipschitzEstimate:
    return LipschitzEstimate(model, shape, torch.Generator().manual_seed(0))


def estimated(model: nn.Module, shape: tuple[int, ...], iterations: int = 100) -> torch.Tensor:
    with torch.no_grad():
        return estimator(model, shape)(iterations).double()


def converge(estimate: LipschitzEstimate, iterations: int = 1000) -> None:
    """Power iterations without an early stop."""
    for norm in estimate.linear:
        for _ in range(iterations):
            norm.step()


def ratios(model: nn.Module, shape: tuple[int, ...], iterations: int = 100) -> torch.Tensor:
    """Estimate by bound, off the diagonal."""
    off = ~torch.eye(model(torch.zeros(1, *shape, dtype=next(model.parameters()).dtype)).shape[1], dtype=torch.bool)
    return (estimated(model, shape, iterations) / margin_bounds(copy.deepcopy(model).eval(), shape))[off]


class Scaled(nn.Module):
    """(x − ½)/¼ normalised, a strided and a residual convolution, normalised again, a shuffle, and two heads added."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 8, 4, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.block = LinearResidual(8)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2, groups=2)
        self.slope = nn.PReLU()
        self.scale = nn.BatchNorm1d(4 * size * size)
        self.head, self.other = nn.Linear(4 * size * size, 3), nn.Linear(4 * size * size, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm(self.first((x - 0.5) / 0.25)))
        x = self.slope(self.up(self.block(x)))
        x = self.scale(x.roll(1, 2).flatten(1))
        return self.head(x) - self.other(x)


def lively(model: nn.Module, seed: int = 0) -> nn.Module:
    """Statistics of batch normalisation, and slopes, as training would leave them: anything."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                assert module.running_var is not None
                module.running_var.uniform_(0.1, 2)
                assert module.weight is not None
                module.weight.normal_()
            if isinstance(module, nn.PReLU):
                module.weight.fill_(-1.5)
    return model


@pytest.mark.parametrize("seed", range(25))
def test_estimates_stay_below_the_bound_on_random_graphs(seed):
    model = Graph(seed)
    assert ratios(model, model.shape).max() <= 1 + 1e-6


@pytest.mark.parametrize("seed", range(25))
def test_every_norm_is_that_of_the_unrolled_map(seed):
    model = Graph(seed)
    estimate = estimator(model, model.shape)
    converge(estimate, 300)
    with torch.no_grad():
        for norm in estimate.linear:
            count = torch.Size(norm.part.input_shape).numel()
            images = norm.part(torch.eye(count, dtype=torch.float64).reshape(-1, *norm.part.input_shape))
            exact = float(torch.linalg.matrix_norm(images.flatten(1), 2))
            assert exact * 0.999 <= float(norm()) <= exact * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_estimates_reach_the_bound(seed):
    torch.manual_seed(seed)
    convolutional = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, groups=2), MinMax(), LinearResidual(6), nn.PixelUnshuffle(2),
        nn.Conv2d(24, 8, 4, 2, 1), Householder(8), nn.Flatten(), nn.Linear(8 * 36, 100), MinMax(), nn.Linear(100, 5),
    )  # fmt: skip
    for module in convolutional.modules():
        if isinstance(module, nn.Conv2d):
            module.padding_mode = "circular"  # with zeros the bound itself is a little loose
    found = ratios(convolutional, (2, 24, 24))
    assert found.min() >= 0.99
    assert found.max() <= 1 + 1e-6
    dense = nn.Sequential(nn.Linear(20, 300), MinMax(), nn.Linear(300, 200), nn.SELU(), nn.Linear(200, 7))
    assert ratios(dense, (20,)).min() >= 0.99
    assert ratios(dense, (20,)).max() <= 1 + 1e-6


def test_functional_graphs_with_normalisation_reach_the_bound():
    model = lively(Scaled(16)).eval()
    assert ratios(model, (2, 16, 16), 300).min() >= 0.95, "what zero padding costs the bound"
    assert ratios(model, (2, 16, 16), 300).max() <= 1 + 1e-6
    assert torch.equal(estimated(model, (2, 16, 16)), estimated(model.train(), (2, 16, 16))), "the mode is no matter"


def test_a_head_that_is_not_dense_and_one_that_is_paired_with_zero():
    torch.manual_seed(0)
    pooled = nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert 0.9 <= ratios(pooled, (1, 24, 24)).min() <= 1 + 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_of_the_norms(seed):
    """Against central differences of the converged estimate, in a random direction of all weights."""
    model = lively(Scaled(8), seed).double().train()
    estimate = estimator(model, (2, 8, 8))
    converge(estimate)
    estimate(0)[0, 1].log().backward()
    weights = [weight for weight in model.parameters() if weight.grad is not None]
    assert len(weights) == 8, "both heads, all kernels, every scale and the slope have a share"
    towards = [torch.randn_like(weight) for weight in weights]
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    slope = sum(float((gradient * way).sum()) for gradient, way in zip(gradients, towards, strict=True))
    with torch.no_grad():
        values = []
        for step in (1e-5, -2e-5):
            for weight, way in zip(weights, towards, strict=True):
                weight += step * way
            converge(estimate)
            values.append(float(estimate(0)[0, 1].log()))
    assert (values[0] - values[1]) / 2e-5 == pytest.approx(slope, rel=2e-3)


def test_iterates_persist_and_follow_the_weights():
    torch.manual_seed(1)
    layer = nn.Conv2d(1, 8, 3, padding=1)
    model = nn.Sequential(layer, MinMax(), nn.Flatten(), nn.Linear(8 * 144, 2))
    estimate = estimator(model, (1, 12, 12))
    with torch.no_grad():
        estimate(500)
        layer.weight.mul_(1.01).add_(torch.randn_like(layer.weight), alpha=0.002)
        followed = estimate(2)
    exact = estimated(model, (1, 12, 12), 2000)
    assert followed[0, 1] >= 0.999 * exact[0, 1]
    assert estimated(model, (1, 12, 12), 2)[0, 1] < 0.99 * exact[0, 1], "a fresh iterate does not get there in two"
    again = estimator(model, (1, 12, 12))
    again.load_state_dict(estimate.state_dict())
    with torch.no_grad():
        assert torch.equal(again(0), estimate(0))
    assert set(model.state_dict()) == {"0.weight", "0.bias", "3.weight", "3.bias"}, "the model holds no iterate"


def test_an_iterate_survives_weights_of_zero():
    layer = nn.Linear(100, 100)
    model = nn.Sequential(layer, MinMax(), nn.Linear(100, 2))
    kept = layer.weight.detach().clone()
    estimate = estimator(model, (100,))
    with torch.no_grad():
        layer.weight.zero_()
        assert estimate(3).max() == 0
        layer.weight.copy_(kept)
        assert estimate(200)[0, 1] >= 0.99 * margin_bounds(model, (100,))[0, 1]


def test_parametrised_weights_are_read_where_they_are():
    torch.manual_seed(2)
    model = nn.Sequential(weight_norm(nn.Linear(6, 100)), nn.Tanh(), nn.Linear(100, 2))
    estimate = estimator(model, (6,))
    estimate(50)[0, 1].backward()
    assert all(weight.grad is not None for name, weight in model.named_parameters() if "original" in name)


CUDA = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")])


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_estimates_work_in_the_models_precision_and_place(device):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), MinMax(), nn.Flatten(), nn.Linear(64, 3)).to(device)
    assert estimator(model, (1, 6, 6))(2).dtype == torch.float32
    assert estimator(model.double(), (1, 6, 6))(2).dtype == torch.float64
    assert estimator(model, (1, 6, 6))(2).device.type == device


class Hidden(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.gain * x + self.shift)


def test_a_weight_outside_of_a_layer_is_refused_unless_it_is_frozen():
    model = Hidden()
    with pytest.raises(Unsupported, match="gain"):
        estimator(model, (4,))
    model.gain.requires_grad_(False)
    assert ratios(model, (4,)).min() >= 0.99


@pytest.mark.parametrize(
    ("layer", "message"),
    [(nn.LayerNorm(4), "divides by a statistic"), (nn.Softmax(1), "softmax")],
)
def test_what_has_no_bound_is_named(layer, message):
    with pytest.raises(Unsupported, match=message):
        estimator(nn.Sequential(nn.Linear(4, 4), layer), (4,))
