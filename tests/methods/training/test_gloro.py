import pytest
import torch
from torch import nn

from auditor.errors import Unsupported
from auditor.methods.robustness.set_margins import set_margins
from auditor.methods.training import (
    Adam,
    CrossEntropy,
    GloRo,
    MinMax,
    Recipe,
    Schedule,
    Sgd,
    train,
    verified,
)
from auditor.methods.training.lipschitz_estimate import LipschitzEstimate
from auditor.terms import Affinity, Standard, TopK


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        MinMax(),
        nn.PixelUnshuffle(2),
        nn.Flatten(),
        nn.Linear(64, 16),
        MinMax(),
        nn.Linear(16, 3),
    )


def blobs(rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (rows,), generator=generator)
    centres = torch.eye(3).repeat_interleave(6, dim=1)[:, :16].reshape(3, 1, 4, 4)
    return 0.35 * centres[labels] + 0.1 * torch.randn(rows, 1, 4, 4, generator=generator), labels


def recipe(objective: CrossEntropy | GloRo) -> Recipe:
    return Recipe(
        epochs=15, batch_size=32, objective=objective, optimizer=Adam(Schedule(5e-3, 1e-4, "exponential", 0.5))
    )


def run(objective: CrossEntropy | GloRo, seed: int = 0) -> nn.Sequential:
    model = network()
    x, y = blobs(300, seed=1)
    for _ in train(model, x, y, recipe(objective), generator=torch.Generator().manual_seed(seed)):
        assert not model.training
    return model


def certified_share(
    model: nn.Sequential,
    epsilon: float,
    guarantee: Standard | TopK | Affinity = Standard(),  # noqa: B008
) -> float:
    x, y = blobs(300, seed=2)
    estimate = LipschitzEstimate(model, (1, 4, 4), torch.Generator().manual_seed(0))
    with torch.no_grad():
        margins = set_margins(model(x), estimate(500), epsilon, guarantee)
    return float(verified(margins, y).double().mean())


@pytest.mark.parametrize("trades", [None, Schedule(1.0)])
def test_gloro_training_makes_the_network_certifiable(trades):
    epsilon = 0.3
    standard = certified_share(run(CrossEntropy()), epsilon)
    gloro = certified_share(run(GloRo(Schedule(epsilon), trades)), epsilon)
    assert gloro > 0.8
    assert gloro > standard + 0.2


@pytest.mark.parametrize("trades", [None, Schedule(1.0)])
@pytest.mark.parametrize("guarantee", [TopK(2), Affinity(((0, 1), (0, 2), (1, 2)))])
def test_relaxed_guarantees_are_trained_for(guarantee, trades):
    """Where the classes lie too close for one to be certified, two of them can be, once it is asked for."""
    epsilon, shares = 0.45, []
    x, y = blobs(300, seed=2)
    for objective in (GloRo(Schedule(epsilon), trades), GloRo(Schedule(epsilon), trades, guarantee)):
        model = network()
        stated = Recipe(30, 32, objective, Adam(Schedule(5e-3, 1e-4, "exponential", 0.5)))
        for _ in train(model, x, y, stated, generator=torch.Generator().manual_seed(0)):
            pass
        shares.append(certified_share(model, epsilon, guarantee))
    assert shares[1] > shares[0] + 0.15
    assert shares[1] > 0.85


def test_equal_seeds_give_equal_weights_and_others_do_not():
    objective = GloRo(Schedule(0.0, 0.3, "log", until=0.5), Schedule(1.0))
    first, again, other = (run(objective, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)
    assert set(first) == set(network().state_dict()), "a checkpoint holds no power iterates"


def test_epochs_report_their_progress():
    x, y = blobs(64, seed=1)
    sgd = Recipe(
        epochs=4,
        batch_size=16,
        optimizer=Sgd(Schedule(0.1, 0.01, "exponential"), momentum=0.9),
        initialization="orthogonal",
    )
    epochs = list(train(network(), x, y, sgd, generator=torch.Generator().manual_seed(0)))
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4]
    assert epochs[-1].loss < epochs[0].loss
    assert epochs[-1].rate == pytest.approx(0.01)
    assert epochs[-1].lipschitz is None


def test_a_layer_without_a_bound_is_named():
    with pytest.raises(Unsupported, match="LayerNorm"):
        LipschitzEstimate(nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)), (4,), torch.Generator())
