"""Every method on a device that is not the CPU: nothing meets what was left behind, and numbers are those of the CPU.

The device is pretended (`tests.elsewhere`), so that a machine without a GPU knows; one that has it is asked as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from auditor.methods.influence import Slice, distribution, explain, quantity
from auditor.methods.influence.distribution import blurred
from auditor.methods.privacy import loss_scores, naive_scores
from auditor.methods.robustness import GloRo as Deployed
from auditor.methods.robustness import TopK, bound_model, certify
from auditor.methods.robustness.attacks import pgd
from auditor.methods.robustness.graph import network
from auditor.methods.robustness.linear_bounds import certify_locally
from auditor.methods.robustness.lower_bounds import margin_slopes, steepest_pairs
from auditor.methods.robustness.met_pass import MetPass
from auditor.methods.robustness.separation import conflicting, nearest_conflicts
from auditor.methods.robustness.smoothing import votes
from auditor.methods.training import (
    Adam,
    Augmentation,
    CrossEntropy,
    GloRo,
    MinMax,
    Pgd,
    Recipe,
    Schedule,
    Sgd,
    train,
)
from auditor.methods.training.layers import LinearResidual
from auditor.terms import Standard
from auditor.train.declared import declared_recipe
from auditor.train.evaluation import evaluate
from auditor.train.identity import read_spec
from auditor.train.subject import build, rows_of
from tests.elsewhere import AWAY, Away, Elsewhere
from tests.train.project import project

SHAPE = (2, 8, 8)
ROWS, BATCH = 24, 8


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), MinMax(), LinearResidual(6), nn.PixelUnshuffle(2),
        nn.Flatten(), nn.Linear(24 * 16, 80), nn.Dropout(0.1), MinMax(), nn.Linear(80, 4),
    ).eval()  # fmt: skip


def rows(count: int = ROWS) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, *SHAPE, generator=generator), torch.randint(4, (count,), generator=generator)


GPU = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")])


@pytest.fixture(params=["elsewhere", GPU])
def away(request) -> Iterator[torch.device]:
    """A device to compute on; what is drawn there has numbers of its own."""
    if request.param == "cuda":
        yield torch.device("cuda")
        return
    with Elsewhere():
        yield AWAY


def agrees(compute: Callable[[torch.device], Any], device: torch.device) -> None:
    """Whether what is computed there is what is computed here."""
    close(compute(torch.device("cpu")), compute(device), exact=device == AWAY)


def close(expected: Any, found: Any, *, exact: bool) -> None:
    if isinstance(expected, Tensor):
        found = found.here if isinstance(found, Away) else found.cpu()
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        if exact:
            torch.testing.assert_close(found, expected, equal_nan=True)
        elif found.dtype.is_floating_point:
            torch.testing.assert_close(found, expected, rtol=0.01, atol=0.01, equal_nan=True)
    else:
        for one, other in zip(expected, found, strict=True):
            close(one, other, exact=exact)


def test_it_tells_where_two_places_meet():
    with Elsewhere() as device:
        away, generator = torch.zeros(3, device=AWAY), torch.Generator()
        with pytest.raises(RuntimeError, match=r"aten::add of tensors in two places: \[3\] elsewhere, \[3\] here"):
            away.add(torch.zeros(3))
        with pytest.raises(RuntimeError, match="drawn on meta from a generator on cpu"):
            torch.rand(3, device=AWAY, generator=generator)
        with pytest.raises(RuntimeError, match="two places"):
            nn.Linear(3, 2)(away)
        assert (away + torch.tensor(1.0)).device == AWAY, "a number may come along"
        assert not device.waits
        assert float(away.sum()) == 0
        assert away.cpu().tolist() == [0, 0, 0]
        assert device.waits == ["aten::_local_scalar_dense", "aten::_to_copy"]


OBJECTIVES = {
    "plain": CrossEntropy(),
    "gloro": GloRo(Schedule(0.1)),
    "trades": GloRo(Schedule(0.0, 0.2), Schedule(1.0), TopK(2)),
    "linf": GloRo(Schedule(0.01), norm="linf"),
    "pgd": Pgd(Schedule(0.2), steps=2, box=(0.0, 1.0)),
}


def trained(objective: Any, device: torch.device, count: int = ROWS, epochs: int = 2) -> list[Tensor]:
    """Loss and weights after each epoch."""
    x, y = rows(count)
    changes = Augmentation(True, 0.2, 10.0, 0.1, 0.1, box=(0.0, 1.0))
    optimizer = Sgd(Schedule(0.01), 0.9) if isinstance(objective, Pgd) else Adam(Schedule(1e-3))
    recipe = Recipe(epochs, BATCH, objective, optimizer, initialization="orthogonal", augmentation=changes)
    made, generator = model().to(device), torch.Generator().manual_seed(2)
    found = []
    for epoch in train(made, x.to(device), y.to(device), recipe, generator=generator):
        found += [torch.tensor(epoch.loss), *(each.clone() for each in epoch.state["model"].values())]
    return found


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_training(objective, away):
    stated = OBJECTIVES[objective]
    if isinstance(stated, Pgd) or away != AWAY:
        assert float(trained(stated, away)[0]) > 0, "attacks and dropout draw there"
    else:
        agrees(lambda device: trained(stated, device), away)


@pytest.mark.parametrize("objective", ["plain", "gloro", "trades", "linf"])
def test_training_waits_for_the_device_once_an_epoch_and_not_once_a_batch(objective):
    waits = []
    for count in (BATCH, 6 * BATCH):
        with Elsewhere() as device:
            trained(OBJECTIVES[objective], AWAY, count, epochs=1)
            first = len(device.waits)
            trained(OBJECTIVES[objective], AWAY, count, epochs=2)
            waits.append(len(device.waits) - 2 * first)
    assert waits[0] == waits[1] <= 5


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("arithmetic", ["real", "float32"])
def test_bounds_and_certificates(norm, arithmetic, away):
    x, y = rows()

    def compute(device: torch.device) -> Any:
        made = model().to(device)
        bounds = bound_model(made, SHAPE, norm, arithmetic=arithmetic)
        logits = made.double()(x.to(device).double()).detach()
        error = bounds.error.at(x.to(device).double().flatten(1).norm(dim=1))
        reach = bounds.reach.to(device)
        found = certify(logits, reach, 0.01, TopK(2), labels=y.to(device), logits_error=error)
        return bounds.margins, found.radii, found.certified, found.robust_set, found.vra_radius

    agrees(compute, away)


def test_the_abstaining_model(away):
    def compute(device: torch.device) -> Tensor:
        made = model().double()
        bounds = bound_model(made, SHAPE)
        deployed = Deployed(made, bounds.reach, 0.01, Standard(), error=bounds.error).to(device)
        with torch.no_grad():
            return deployed(rows()[0].to(device).double())

    agrees(compute, away)


def test_the_float32_pass(away):
    def compute(device: torch.device) -> Any:
        made = model().to(device)
        run = MetPass(network(made, SHAPE), bound_model(made, SHAPE, arithmetic="float32"))
        return tuple(run(rows()[0].to(device)))

    agrees(compute, away)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_attacks(norm, away):
    def compute(device: torch.device) -> Any:
        made = model().requires_grad_(False).to(device)
        return pgd(made, rows()[0].to(device), epsilon=0.3, norm=norm, steps=5, restarts=2, box=(0.0, 1.0)).found

    agrees(compute, away)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_lower_bounds(norm, away):
    def compute(device: torch.device) -> Any:
        made = model().requires_grad_(False).to(device)
        error = bound_model(made, SHAPE, norm).error.at
        pairs = steepest_pairs(made, rows()[0].to(device), norm=norm, steps=3, restarts=2, box=(0.0, 1.0), error=error)
        return margin_slopes(made, pairs, norm=norm, error=error)

    agrees(compute, away)


def shallow() -> nn.Sequential:
    """Small enough for branch and bound, with a node of every kind of mechanism."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), MinMax(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 6),
        nn.GELU(), nn.Linear(6, 3),
    ).eval().requires_grad_(False)  # fmt: skip


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("arithmetic", ["real", "float32"])
def test_linear_bounds(norm, arithmetic, away):
    def compute(device: torch.device) -> Any:
        graph = network(shallow().to(device), (2, 4, 4))
        x = rows(3)[0][:, :, :4, :4].to(device)
        order = graph(x.double()).argsort(1, descending=True)
        wanted = torch.ones(3, 2, dtype=torch.bool, device=device)
        plain, refined = (
            certify_locally(graph, x, 0.05, norm, wanted, order, arithmetic=arithmetic, seconds=seconds)
            for seconds in (0.0, 20.0)
        )
        return plain.margin, plain.held, refined.held

    agrees(compute, away)


def test_smoothing(away):
    x, made = rows(3)[0].to(away), model().to(away)
    found = votes(made, x, torch.arange(3), sigma=0.2, first=8, samples=32, seed=0)
    assert 0 < int(found.agreeing.max()) <= 32


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_separation(norm, away):
    def compute(device: torch.device) -> Any:
        x, y = (each.to(device) for each in rows())
        return tuple(nearest_conflicts(x, y, conflicting(Standard(), 4).to(device), norm=norm, block=7))

    agrees(compute, away)


WAYS: list[dict[str, Any]] = [
    {},
    {"distribution": distribution.Linear(baseline=0.0), "units": "attribution", "max_steps": 64},
    {"distribution": distribution.Linear(baseline=0.5), "slice": Slice("3"), "max_steps": 16},
    {"quantity": quantity.Class("label", against=2)},
    {"quantity": quantity.Class(1, on="probability"), "slice": Slice("4")},
    {"quantity": quantity.Channel("3", 2), "distribution": distribution.Gaussian(0.2, 4)},
    {"quantity": quantity.Neuron("6", 3), "distribution": distribution.Gaussian(0.1, 4)},
]


@pytest.mark.parametrize("way", WAYS, ids=[" ".join(way) or "point" for way in WAYS])
def test_influence(way, away):
    def compute(device: torch.device) -> Any:
        x, y = rows(6)
        noise = torch.Generator(device).manual_seed(0)
        made = model().to(device)
        return explain(made, x.to(device), labels=y.to(device), batch_size=4, generator=noise, **way).influence

    if isinstance(way.get("distribution"), distribution.Gaussian):
        assert bool(compute(away).isfinite().all()), "noise is drawn there"
    else:
        agrees(compute, away)


def test_blurred_baselines_and_membership(away):
    x, y = rows()
    agrees(lambda device: blurred(x.to(device)), away)
    logits = model()(x).detach()
    agrees(lambda device: naive_scores(logits.to(device), y.to(device)), away)
    agrees(lambda device: loss_scores(logits.to(device), y.to(device)), away)


def test_what_a_trained_model_is_worth(away, tmp_path):
    spec = project(tmp_path, "{gloro: {epsilon: 0.1, guarantee: {top_k: 2}}}")
    document = read_spec(spec)
    torch.manual_seed(0)
    made, recipe = build(document), declared_recipe(document)

    def compute(device: torch.device) -> Any:
        held = {"train": rows_of(document, "train")}
        found = evaluate(document, made.to(device), recipe, held, device)
        return [torch.tensor([*found["measured"]["train"].values(), found["lipschitz_upper"]])]

    agrees(compute, away)
