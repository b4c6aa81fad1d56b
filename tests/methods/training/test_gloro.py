import pytest
import torch
from torch import nn
from torch.nn import functional

from auditor.errors import Unsupported
from auditor.methods.training import (
    Adam,
    CrossEntropy,
    GloRo,
    MinMax,
    Recipe,
    Schedule,
    Sgd,
    bottom_logit,
    gloro_cross_entropy,
    gloro_trades,
    train,
)
from auditor.methods.training.lipschitz_estimate import LipschitzEstimate


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


def random_case() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(7, 4, generator=generator, dtype=torch.float64)
    constants = torch.rand(4, 4, generator=generator, dtype=torch.float64)
    constants = constants + constants.T
    return logits, torch.randint(4, (7,), generator=generator), constants


def test_bottom_logit_is_the_best_a_rival_can_reach():
    logits, _, constants = random_case()
    for row, found in zip(logits, bottom_logit(logits, constants, 0.3), strict=True):
        j = int(row.argmax())
        expected = max(row[i] + 0.3 * constants[j, i] for i in range(4) if i != j)
        assert found == expected


def test_trades_term_is_the_divergence_of_f_from_its_extension():
    logits, labels, constants = random_case()
    extended = torch.cat((logits, bottom_logit(logits, constants, 0.3)[:, None]), dim=1)
    p, q = logits.softmax(1), extended.softmax(1)[:, :-1]
    divergence = (p * (p / q).log()).sum(1).mean()
    expected = functional.cross_entropy(logits, labels) + 1.7 * divergence
    torch.testing.assert_close(gloro_trades(logits, labels, constants, 0.3, 1.7), expected)


def test_without_a_radius_or_margin_the_bottom_class_ties_with_the_runner_up():
    logits, labels, constants = random_case()
    runner_up = logits.topk(2, dim=1).values[:, 1]
    torch.testing.assert_close(bottom_logit(logits, constants, 0.0), runner_up)
    assert gloro_cross_entropy(logits, labels, constants, 0.0) > functional.cross_entropy(logits, labels)


def test_estimate_reaches_the_exact_constants_from_below():
    model = network().double()
    estimate = LipschitzEstimate(model.float(), (1, 4, 4), torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = estimate(iterations=2000).double()
    unrolled = torch.func.jacrev(lambda x: model[0](x) - model[0](torch.zeros_like(x)))(torch.zeros(1, 1, 4, 4))
    below = torch.linalg.matrix_norm(unrolled.reshape(64, 16).double(), 2) * torch.linalg.matrix_norm(
        model[4].weight.detach().double(), 2
    )
    w = model[6].weight.detach().double()
    exact = below * (w[:, None] - w[None, :]).norm(dim=2)
    off = ~torch.eye(3, dtype=torch.bool)
    assert (found[off] <= exact[off] * (1 + 1e-5)).all()
    assert (found[off] >= exact[off] * 0.98).all()


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


def certified_share(model: nn.Sequential, epsilon: float) -> float:
    x, y = blobs(300, seed=2)
    estimate = LipschitzEstimate(model, (1, 4, 4), torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model(x)
        bottom = bottom_logit(logits, estimate(iterations=500), epsilon)
    return float(((logits.argmax(1) == y) & (logits.amax(1) > bottom)).double().mean())


@pytest.mark.parametrize("trades", [None, Schedule(1.0)])
def test_gloro_training_makes_the_network_certifiable(trades):
    epsilon = 0.3
    standard = certified_share(run(CrossEntropy()), epsilon)
    gloro = certified_share(run(GloRo(Schedule(epsilon), trades)), epsilon)
    assert gloro > 0.8
    assert gloro > standard + 0.2


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


@pytest.mark.parametrize(
    ("last", "message"), [(nn.LayerNorm(3), "ends in nn.Linear"), (nn.Sequential(nn.GELU(), nn.Linear(3, 3)), "GELU")]
)
def test_layers_without_a_known_norm_are_named(last, message):
    model = nn.Sequential(nn.Linear(4, 3), last)
    with pytest.raises(Unsupported, match=message):
        LipschitzEstimate(model, (4,), torch.Generator())
