"""GloRo in the ∞-norm: constants read off the live weights are the certifier's."""

import copy

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from auditor.methods.layers import GroupSort, Householder
from auditor.methods.robustness import bound_model, certify, margin_bounds
from auditor.methods.training import Adam, GloRo, MinMax, Recipe, Schedule, train
from auditor.methods.training.layers import LinearResidual
from auditor.methods.training.lipschitz_estimate import LipschitzEstimate
from auditor.methods.training.row_sums import RowSum
from auditor.terms import Norm
from tests.methods.robustness.random_graphs import Graph
from tests.methods.training.test_lipschitz_estimate import Scaled, lively


def estimator(model: nn.Module, shape: tuple[int, ...]) -> LipschitzEstimate:
    return LipschitzEstimate(model, shape, torch.Generator(), "linf")


def ratios(model: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    """Estimate by bound, off the diagonal."""
    bound = margin_bounds(copy.deepcopy(model).eval(), shape, "linf")
    with torch.no_grad():
        found = estimator(model, shape)().double()
    return (found / bound)[~torch.eye(len(bound), dtype=torch.bool)]


@pytest.mark.parametrize("seed", range(60))
def test_the_constants_are_the_certifiers_on_random_graphs(seed):
    model = Graph(seed)
    found = ratios(model, model.shape)
    assert found.max() <= 1 + 1e-6
    assert found.min() >= 1 - 1e-6


@pytest.mark.parametrize("seed", range(25))
def test_every_norm_is_that_of_the_unrolled_map(seed):
    model = Graph(seed)
    estimate = estimator(model, model.shape)
    with torch.no_grad():
        for norm in estimate.norms.values():
            assert isinstance(norm, RowSum)
            count = torch.Size(norm.part.input_shape).numel()
            images = norm.part(torch.eye(count, dtype=torch.float64).reshape(-1, *norm.part.input_shape))
            exact = float(images.flatten(1).abs().sum(0).max())
            assert exact * (1 - 1e-6) <= float(norm())
            # A kernel that repeats pixels adds them up by their magnitudes.
            if all(each.padding_mode == "zeros" for each in norm.part.kernels if not norm.part.dense):
                assert float(norm()) <= exact * (1 + 1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_normalised_residual_and_transposed_layers_reach_the_bound(seed):
    found = ratios(lively(Scaled(16), seed).eval(), (2, 16, 16))
    assert found.min() >= 1 - 1e-5
    assert found.max() <= 1 + 1e-5


def test_dilated_groups_between_scalings():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.BatchNorm2d(4), nn.Conv2d(4, 8, 3, 2, 2, dilation=2, groups=2), nn.BatchNorm2d(8), Householder(8),
        LinearResidual(8), GroupSort(4), nn.AvgPool2d(2, 1), nn.Flatten(), nn.Linear(8 * 9, 3),
    )  # fmt: skip
    found = ratios(lively(model).eval(), (4, 8, 8))
    assert found.min() >= 1 - 1e-5
    assert found.max() <= 1 + 1e-5


def test_gradients_are_those_of_the_norms():
    """Against central differences, in a random direction of all weights."""
    model = lively(Scaled(8)).double().train()
    estimate = estimator(model, (2, 8, 8))
    estimate()[0, 1].log().backward()
    weights = [weight for weight in model.parameters() if weight.grad is not None]
    assert len(weights) == 8, "both heads, all kernels, every scale and the slope have a share"
    towards = [torch.randn_like(weight) for weight in weights]
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    slope = sum(float((gradient * way).sum()) for gradient, way in zip(gradients, towards, strict=True))
    with torch.no_grad():
        values = []
        for step in (1e-7, -2e-7):
            for weight, way in zip(weights, towards, strict=True):
                weight += step * way
            values.append(float(estimate()[0, 1].log()))
    assert (values[0] - values[1]) / 2e-7 == pytest.approx(slope, rel=1e-4)


IMAGES, LABELS = load_digits(return_X_y=True)
DIGITS = torch.tensor(IMAGES / 16, dtype=torch.float32), torch.tensor(LABELS)
EPSILON = 0.05
SAME_BALL = EPSILON * 8
"""The 2-norm ball around 64 pixels that holds the ∞-norm ball."""


def digits_net(norm: Norm, epsilon: float) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), MinMax(), nn.Linear(128, 10))
    inputs, labels = (part[::2] for part in DIGITS)
    recipe = Recipe(
        60, 64, GloRo(Schedule(epsilon), norm=norm), Adam(Schedule(5e-3, 1e-4, "exponential", after=0.5)),
        initialization="default" if norm == "linf" else "orthogonal",
    )  # fmt: skip
    for _ in train(model, inputs, labels, recipe, generator=torch.Generator().manual_seed(0)):
        pass
    return model.double()


def verified(model: nn.Module, norm: Norm, epsilon: float) -> float:
    """VRA on the rows held out."""
    inputs, labels = DIGITS[0][1::2].double(), DIGITS[1][1::2]
    bounds = bound_model(model, (64,), norm)
    with torch.no_grad():
        logits = model(inputs)
    made = certify(logits, bounds.reach, epsilon, logits_error=bounds.error.at(inputs.norm(dim=1)))
    return float((made.certified & (logits.argmax(1) == labels)).double().mean())


def test_digits_are_certified_beyond_what_the_2_norm_implies():
    """Beyond its own 2-norm certificates in the ball that holds the ∞-norm ball, and a net's that was trained for
    them.
    """
    model = digits_net("linf", EPSILON)
    found = verified(model, "linf", EPSILON)
    assert found > 0.7
    assert found > verified(model, "l2", SAME_BALL) + 0.2
    assert found > verified(digits_net("l2", SAME_BALL), "l2", SAME_BALL)
