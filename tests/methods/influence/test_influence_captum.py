"""captum as an oracle: relative L2 1e-5, at equal nodes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from auditor.methods.influence import Slice, distribution, influence, quantity

attr = pytest.importorskip("captum.attr")

# captum tells about every input it makes require gradients
pytestmark = pytest.mark.filterwarnings("ignore:.*required_grads has been set automatically.*:UserWarning")

STEPS = 64


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def unbiased(expected: Tensor) -> Tensor:
    """captum's trapezoid over n nodes weighs them n/(n-1) too low."""
    return expected * (STEPS + 1) / STEPS


ASK = {"quantity": quantity.Class(3, against=1), "tolerance": 0.0, "max_steps": STEPS}
OURS = {"n_steps": STEPS + 1, "method": "riemann_trapezoid"}


@pytest.fixture
def network(network: nn.Module) -> nn.Module:
    return network.float()


@pytest.fixture
def lead(network: nn.Module):
    def difference(x: Tensor) -> Tensor:
        logits = network(x)
        return logits[:, 3] - logits[:, 1]

    return difference


def test_saliency(network: nn.Module, images: Tensor, lead) -> None:
    x = images.float()
    found = influence(network, x, quantity=quantity.Class(3, against=1))
    assert relative(found, attr.Saliency(lead).attribute(x, abs=False)) <= 1e-5


@pytest.mark.parametrize("baseline", [0.0, 0.4])
def test_integrated_gradients(baseline: float, network: nn.Module, images: Tensor, lead) -> None:
    x = images.float()
    found = influence(network, x, distribution=distribution.Linear(baseline), units="attribution", **ASK)
    expected = attr.IntegratedGradients(lead).attribute(x, baselines=baseline, **OURS)
    assert relative(found, unbiased(expected)) <= 1e-5


def test_integrated_gradients_to_tolerance(network: nn.Module, images: Tensor, lead) -> None:
    """Stopping each row on its own residual comes as near as the residual says."""
    x = images.float()
    found = influence(
        network, x, quantity=quantity.Class(3, against=1), distribution=distribution.Linear(0.0), units="attribution"
    )
    expected = attr.IntegratedGradients(lead).attribute(
        x, baselines=0.0, n_steps=4096, internal_batch_size=1024, method="riemann_middle"
    )
    assert relative(found, expected) <= 1e-2


@pytest.mark.parametrize("layer", ["blocks.0", "blocks.1", "head.0"])
def test_internal_influence_of_layers(layer: str, network: nn.Module, images: Tensor, lead) -> None:
    """captum's InternalInfluence is this measure for lines in the input."""
    x = images.float()
    found = influence(network, x, slice=Slice(layer=layer), distribution=distribution.Linear(0.0), **ASK)
    method = attr.InternalInfluence(lead, network.get_submodule(layer))
    expected = method.attribute(x, baselines=torch.zeros_like(x), **OURS)
    assert relative(found, unbiased(expected)) <= 1e-5


@pytest.mark.parametrize("layer", ["blocks.0", "blocks.1", "head.0"])
def test_integrated_gradients_along_a_latent_line(layer: str, network: nn.Module, images: Tensor, lead) -> None:
    x = images.float()
    start = attr.LayerActivation(network, network.get_submodule(layer)).attribute(torch.zeros_like(x[:1]))
    found = influence(
        network,
        x,
        slice=Slice(layer=layer),
        distribution=distribution.Linear(start[0].detach(), at="slice"),
        units="attribution",
        **ASK,
    )
    method = attr.LayerIntegratedGradients(lead, network.get_submodule(layer))
    expected = method.attribute(x, baselines=torch.zeros_like(x), **OURS)
    assert relative(found, unbiased(expected)) <= 1e-5
