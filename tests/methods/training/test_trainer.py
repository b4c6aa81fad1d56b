"""The loop: what it yields, that it goes on from any epoch to the same weights, and adversarial training."""

import copy
import io

import pytest
import torch
from torch import nn

from auditor.methods.robustness.attacks import pgd
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
from auditor.methods.training.adversarial import worst_points
from auditor.methods.training.objectives import objective_of
from auditor.terms import TopK

RATE = Schedule(5e-3, 1e-4, "exponential", 0.5)
OBJECTIVES = [
    CrossEntropy(),
    GloRo(Schedule(0.0, 0.2, "log"), Schedule(1.0, 1.2)),
    GloRo(Schedule(0.2), guarantee=TopK(2)),
    Pgd(Schedule(0.1), steps=2, box=(0.0, 1.0)),
]


def network(*, normed: bool = False, dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4) if normed else nn.Identity(),
        MinMax(),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(64, 3),
    )


def images(rows: int = 90) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(3, (rows,), generator=generator)
    centres = torch.eye(3).repeat_interleave(6, dim=1)[:, :16].reshape(3, 1, 4, 4)
    return (0.4 * centres[labels] + 0.3 * torch.rand(rows, 1, 4, 4, generator=generator)), labels


def recipe(objective: CrossEntropy | GloRo | Pgd, **more) -> Recipe:
    return Recipe(epochs=6, batch_size=32, objective=objective, optimizer=Adam(RATE), **more)


def trained(model: nn.Module, stated: Recipe, seed: int = 0) -> list:
    x, y = images()
    return list(train(model, x, y, stated, generator=torch.Generator().manual_seed(seed)))


def saved(state) -> dict:
    """A state as a checkpoint keeps it: through a file that can hold no code."""
    file = io.BytesIO()
    torch.save(dict(state), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("finished", [1, 4])
def test_going_on_from_an_epoch_gives_the_weights_of_a_training_that_never_stopped(objective, finished):
    stated = recipe(objective, warm_up=2, augmentation=Augmentation(flip=True, shift=0.25))
    x, y = images()
    whole = network(dropout=0.2)
    interrupted = copy.deepcopy(whole)
    last = trained(whole, stated)[-1]
    run = train(interrupted, x, y, stated, generator=torch.Generator().manual_seed(0))
    state = next(saved(epoch.state) for epoch in run if epoch.number == finished)
    resumed = network(dropout=0.2)
    rest = list(train(resumed, x, y, stated, generator=torch.Generator().manual_seed(99), state=state))
    assert [epoch.number for epoch in rest] == list(range(finished + 1, 7))
    assert equal(whole, resumed)
    assert rest[-1][:-1] == last[:-1]


def test_dropout_follows_the_seed_and_leaves_torchs_own_generator_alone():
    models = [network(dropout=0.5) for _ in range(3)]
    torch.manual_seed(11)
    before = torch.get_rng_state()
    trained(models[0], recipe(CrossEntropy()))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    trained(models[1], recipe(CrossEntropy()))
    trained(models[2], recipe(CrossEntropy()), seed=1)
    assert equal(models[0], models[1])
    assert not equal(models[0], models[2])


def test_epochs_say_what_the_objective_knows():
    epochs = trained(network(), recipe(OBJECTIVES[1], warm_up=2))
    assert [epoch.robust is None for epoch in epochs] == [True, True, False, False, False, False]
    last = epochs[-1]
    assert last.epsilon == pytest.approx(0.2)
    assert last.lipschitz > 0
    assert 0 < last.robust <= last.accuracy
    assert trained(network(), recipe(CrossEntropy()))[-1][5:8] == (None, None, None)


def test_a_row_left_over_joins_the_batch_before():
    x, y = images(65)
    model = network(normed=True)
    (epoch,) = train(
        model, x, y, Recipe(1, 32, optimizer=Sgd(Schedule(0.1))), generator=torch.Generator().manual_seed(0)
    )
    assert epoch.accuracy <= 1
    assert int(model.state_dict()["1.num_batches_tracked"]) == 2


def test_frozen_parameters_stay_as_they_are():
    model = network()
    model[0].requires_grad_(False)
    before = copy.deepcopy(model[0])
    trained(model, recipe(CrossEntropy()))
    assert equal(model[0], before)
    assert not equal(model, network())


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_worst_points_lie_within_ball_and_box_and_raise_the_loss(norm):
    model, (x, y) = network(), images()
    trained(model, recipe(CrossEntropy()))
    epsilon = 0.4 if norm == "l2" else 0.1
    found = worst_points(
        model, x, y, epsilon=epsilon, norm=norm, steps=7, box=(0.0, 1.0), generator=torch.Generator().manual_seed(0)
    )
    lengths = (found - x).flatten(1).norm(2 if norm == "l2" else torch.inf, dim=1)
    assert lengths.max() <= epsilon * (1 + 1e-6)
    assert found.min() >= 0
    assert found.max() <= 1
    before, after = (nn.functional.cross_entropy(model(points), y, reduction="none") for points in (x, found))
    assert (after > before).double().mean() > 0.99


def test_adversarial_training_withstands_an_attack_that_standard_training_does_not():
    x, y = images(300)
    shares = []
    for objective in (CrossEntropy(), Pgd(Schedule(0.5), steps=5, box=(0.0, 1.0))):
        model = network(normed=True)
        stated = Recipe(20, 32, objective, Adam(Schedule(0.01)))
        for epoch in train(model, x, y, stated, generator=torch.Generator().manual_seed(0)):
            assert epoch.robust is None or epoch.robust <= 1
        model.requires_grad_(False)
        attacked = pgd(model, x, epsilon=0.5, steps=20, restarts=2, box=(0.0, 1.0))
        right = model(x).argmax(1) == y
        shares.append(float((right & ~attacked.found).double().mean()))
    assert shares[1] > shares[0] + 0.1


def test_the_attack_leaves_batch_statistics_to_the_training_pass():
    model, (x, y) = network(normed=True), images(32)
    stated = Recipe(3, 32, Pgd(Schedule(0.1), steps=4), Adam(RATE))
    for epoch in train(model, x, y, stated, generator=torch.Generator().manual_seed(0)):
        assert int(model.state_dict()["1.num_batches_tracked"]) == epoch.number


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_layers_may_compute_in_bfloat16_and_nothing_else_does(objective):
    model, precise = network(normed=True), network(normed=True)
    lowered = trained(model, recipe(objective, precision="bfloat16"))
    whole = trained(precise, recipe(objective))
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    moments = lowered[-1].state["optimizer"]["state"].values()
    assert {tensor.dtype for each in moments for tensor in each.values()} == {torch.float32}
    assert lowered[0].loss == pytest.approx(whole[0].loss, rel=0.05)
    assert lowered[0].loss != whole[0].loss
    assert lowered[-1].loss < lowered[0].loss
    assert lowered[0].lipschitz == (whole[0].lipschitz and pytest.approx(whole[0].lipschitz, rel=0.02))
    assert not equal(model, precise)


def test_constants_are_estimated_in_full_precision_whatever_the_layers_do():
    torch.manual_seed(0)
    model, (x, y) = network(), images(32)
    stated = [recipe(OBJECTIVES[2], precision=each) for each in ("float32", "bfloat16")]
    costs = [objective_of(each, model, x, torch.Generator().manual_seed(0))(x, y, 0.5) for each in stated]
    assert costs[0].lipschitz == costs[1].lipschitz
    assert costs[0].loss != costs[1].loss
    assert costs[0].loss.dtype == costs[1].loss.dtype == torch.float32
