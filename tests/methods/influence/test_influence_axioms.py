"""Axioms 4.1-4.4 of the thesis, and completeness (3.1)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from auditor.methods.influence import Slice, cut, distribution, explain, influence, quantity

DISTRIBUTIONS = [
    distribution.Point(),
    distribution.Linear(baseline=0.3),
    distribution.Gaussian(std=0.2, samples=5),
    distribution.Uniform(feature=1, low=-1.0, high=2.0, samples=5),
]


@pytest.mark.parametrize("of_interest", DISTRIBUTIONS, ids=lambda d: d.tag)
@given(seed=st.integers(0, 2**32 - 1), features=st.integers(2, 9), classes=st.integers(2, 6))
@settings(max_examples=15, deadline=None)
def test_linear_agreement(of_interest, seed: int, features: int, classes: int) -> None:
    """Axiom 4.1: on a linear model influence is the coefficient, whatever the distribution."""
    torch.manual_seed(seed)
    model = nn.Linear(features, classes).double()
    x = torch.randn(3, features, dtype=torch.float64)
    weight = model.weight.detach()
    one = influence(model, x, quantity=quantity.Class(0), distribution=of_interest)
    torch.testing.assert_close(one, weight[0].expand_as(x), rtol=1e-12, atol=1e-12)
    lead = influence(model, x, quantity=quantity.Class(0, against=1), distribution=of_interest)
    torch.testing.assert_close(lead, (weight[0] - weight[1]).expand_as(x), rtol=1e-12, atol=1e-12)
    rest = influence(model, x, quantity=quantity.Class(0, against="rest"), distribution=of_interest)
    torch.testing.assert_close(rest, (weight[0] - weight[1:].mean(0)).expand_as(x), rtol=1e-12, atol=1e-12)


def test_marginality_depends_on_the_support_alone() -> None:
    """Axiom 4.2: two functions with equal derivatives on the support have equal influence; off it they may differ."""

    class Bent(nn.Module):
        """tanh-network plus a hinge that is flat wherever the features sum to less than 3."""

        def __init__(self, bend: float) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.body = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double()
            self.bend = bend

        def forward(self, x: Tensor) -> Tensor:
            hinge = self.bend * torch.relu(x.sum(1, keepdim=True) - 3)
            return self.body(x) + torch.cat([hinge + 7.0, torch.zeros_like(hinge)], dim=1)

    straight, bent = Bent(0.0), Bent(5.0)
    inside, beyond = torch.full((1, 3), 0.9, dtype=torch.float64), torch.full((1, 3), 2.0, dtype=torch.float64)
    ask = {"quantity": quantity.Class(0), "distribution": distribution.Linear(baseline=0.0)}
    assert torch.equal(influence(straight, inside, **ask), influence(bent, inside, **ask))
    assert not torch.allclose(influence(straight, beyond, **ask), influence(bent, beyond, **ask))


def test_distributional_linearity_of_a_mixture(network: nn.Module, images: Tensor) -> None:
    """Axiom 4.3: the influence over a mixture of points is the mixture of the influences at them."""
    of_interest = distribution.Gaussian(std=0.3, samples=24)
    mixed = influence(
        network,
        images,
        quantity=quantity.Class(2),
        distribution=of_interest,
        generator=torch.Generator().manual_seed(5),
        batch_size=4 * 24 * 7,
    )
    points = distribution.sample(of_interest, images, 24, generator=torch.Generator().manual_seed(5)).flatten(0, 1)
    single = influence(network, points, quantity=quantity.Class(2)).view(7, 24, 3, 8, 8).mean(1)
    torch.testing.assert_close(mixed, single, rtol=1e-9, atol=1e-12)


@given(share=st.floats(0.1, 0.9))
@settings(max_examples=10, deadline=None)
def test_distributional_linearity_of_a_line(share: float) -> None:
    """Axiom 4.3: a line is the mixture of its two parts, each weighted by its length."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 3)).double()
    start, end = torch.zeros(1, 4, dtype=torch.float64), torch.randn(1, 4, dtype=torch.float64)
    middle = start + share * (end - start)

    def chi(x: Tensor, baseline: Tensor) -> Tensor:
        return influence(
            model, x, quantity=quantity.Class(0), distribution=distribution.Linear(baseline), tolerance=1e-7
        )

    parts = share * chi(middle, start) + (1 - share) * chi(end, middle)
    torch.testing.assert_close(chi(end, start), parts, rtol=1e-5, atol=1e-6)


LAYERS = ["blocks", "blocks.0", "blocks.0.0", "blocks.0.1", "blocks.0.2", "blocks.1", "blocks.1.0", "blocks.1.1"]
LAYERS += ["blocks.1.2", "flatten", "head", "head.0", "head.1", "head.2"]


@pytest.mark.parametrize("at", ["output", "input"])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    "of_interest", [distribution.Point(), distribution.Gaussian(std=0.1, samples=4)], ids=lambda d: d.tag
)
def test_preprocessing(layer: str, at, of_interest, network: nn.Module, images: Tensor) -> None:
    """Axiom 4.4, for every layer: influence through h equals the input influence of g over h(D)."""
    where = Slice(layer=layer, at=at)
    h, g = cut(network, where)
    through = influence(
        network,
        images,
        slice=where,
        quantity=quantity.Class(1),
        distribution=of_interest,
        generator=torch.Generator().manual_seed(3),
        batch_size=1024,
    )
    samples = getattr(of_interest, "samples", 1)
    points = images.unsqueeze(1)
    if samples > 1:
        points = distribution.sample(of_interest, images, samples, generator=torch.Generator().manual_seed(3))
    alone = influence(g, h(points.flatten(0, 1)), quantity=quantity.Class(1))
    alone = alone.view(len(images), samples, *alone.shape[1:]).mean(1)
    assert through.shape == (len(images), *h(images).shape[1:])
    torch.testing.assert_close(through, alone, rtol=1e-6, atol=1e-9)


def test_every_layer_is_named(network: nn.Module) -> None:
    assert {name for name, _ in network.named_modules() if name} == set(LAYERS)


@pytest.mark.parametrize("layer", [None, *LAYERS])
def test_completeness_at_every_slice(layer: str | None, network: nn.Module, images: Tensor) -> None:
    """Attributions along a line in the slice sum to the difference they account for, to the stated residual."""
    found = explain(
        network,
        images,
        slice=Slice(layer=layer),
        quantity=quantity.Class(3, against=1),
        distribution=distribution.Linear(baseline=0.1, at="slice"),
        units="attribution",
        max_steps=1 << 14,
    )
    h, g = cut(network, Slice(layer=layer))
    z = h(images)
    with torch.no_grad():
        lead = g(z)[:, 3] - g(z)[:, 1]
        start = g(torch.full_like(z[:1], 0.1))
    difference = lead - (start[:, 3] - start[:, 1])
    torch.testing.assert_close(found.difference, difference)
    scale = torch.maximum(difference.abs(), 0.01 * difference.std())
    missed = (found.influence.flatten(1).sum(1) - difference).abs() / scale
    assert missed.max() <= 1.001e-3
    torch.testing.assert_close(found.residual, missed, rtol=1e-3, atol=1e-9)


def test_a_line_in_the_input_is_complete_for_slices_of_layers(network: nn.Module, images: Tensor) -> None:
    """With D in the input the residual is that of the same points at the input, where the sum must come out."""
    ask = {"quantity": quantity.Class(3), "distribution": distribution.Linear(baseline=0.0), "max_steps": 1 << 12}
    at_input = explain(network, images, **ask)
    at_layer = explain(network, images, slice=Slice(layer="blocks.1"), **ask)
    torch.testing.assert_close(at_layer.difference, at_input.difference)
    torch.testing.assert_close(at_layer.steps, at_input.steps)
    assert at_layer.residual.max() <= 1e-3
