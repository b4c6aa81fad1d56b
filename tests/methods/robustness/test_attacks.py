"""The theorem: no attack succeeds within a certified radius. And attacks reach the boundary where it is known."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from auditor.methods.robustness import TopK, bound_model, certify
from auditor.methods.robustness.attacks import _Search, _surprise, pgd, top_set
from auditor.methods.robustness.ball import INSIDE, Ball, length
from auditor.methods.robustness.radii import leading_classes, possible_rivals
from auditor.methods.training.layers import MinMax, orthogonal_


def frozen(*layers):
    return nn.Sequential(*layers).eval().requires_grad_(False)


def random_network(seed):
    """Small nets of every kind of layer that can be certified, some with exploding or vanishing weights."""
    torch.manual_seed(seed)
    kind = seed % 4
    if kind == 0:
        model = frozen(nn.Flatten(), nn.Linear(16, 12), MinMax(), nn.Linear(12, 12), MinMax(), nn.Linear(12, 4))
    elif kind == 1:
        model = frozen(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 1), nn.Flatten(), nn.Linear(16, 4))
    elif kind == 2:
        model = frozen(
            nn.Conv2d(1, 4, 2, stride=2), nn.BatchNorm2d(4), nn.Tanh(), nn.AvgPool2d(2, 1), nn.Flatten(),
            nn.Linear(4, 4),
        )  # fmt: skip
        model[1].running_var.uniform_(0.01, 2)
    else:
        model = orthogonal_(frozen(nn.Flatten(), nn.Linear(16, 16), nn.LeakyReLU(0.5), nn.Linear(16, 4)))
    for parameter in model.parameters():
        parameter.mul_([1.0, 3.0, 0.1][seed % 3])
    return model


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_no_attack_flips_a_certified_point(seed):
    """Every row is attacked in a ball a little wider than its certified radius, where the attack tries hardest."""
    model = random_network(seed)
    x = torch.rand(12, 1, 4, 4)
    bounds = bound_model(model, (1, 4, 4))
    logits = model.double()(x.double())
    model.float()
    for k in (1, 2):
        error = bounds.error.at(x.flatten(1).norm(dim=1))
        radii = certify(logits, bounds.margins, 0.0, TopK(k), logits_error=error).radii[:, k - 1]
        for factor in (1.0, 4.0):
            epsilon = factor * float(radii.median())
            if epsilon == 0:
                continue
            found = pgd(model, x, epsilon=epsilon, k=k, steps=20, restarts=2, seed=seed)
            assert bool((found.distance > radii).all())


def linear(seed=0, features=10, classes=3):
    torch.manual_seed(seed)
    return frozen(nn.Linear(features, classes))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_attack_finds_the_boundary_of_a_linear_model(norm):
    model, x = linear(classes=2), torch.randn(30, 10)
    difference = (model[0].weight[0] - model[0].weight[1]).double()
    dual = difference.norm() if norm == "l2" else difference.abs().sum()
    logits = model(x).double()
    exact = (logits[:, 0] - logits[:, 1]).abs() / dual
    found = pgd(model, x, epsilon=0.3, norm=norm, steps=30, restarts=2)
    assert torch.equal(found.found, exact < 0.3 * (1 - 1e-5))
    reached = found.distance[found.found] / exact[found.found]
    assert bool((reached >= 1 - 1e-5).all())
    assert bool((reached <= 1.01).all())


def test_what_is_found_holds_in_float64_within_ball_and_box():
    torch.manual_seed(0)
    model = frozen(nn.Flatten(), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 5))
    x = torch.rand(60, 1, 4, 4)
    found = pgd(model, x, epsilon=0.4, steps=30, restarts=3, box=(0.0, 1.0))
    assert 0 < int(found.found.sum()) < 60
    origin = x[found.found].double()
    points = found.points.double()
    assert float(points.min()) >= 0
    assert float(points.max()) <= 1
    distance = (points - origin).flatten(1).norm(dim=1)
    torch.testing.assert_close(distance, found.distance[found.found], rtol=1e-14, atol=0)
    assert bool((distance <= 0.4).all())
    double = model.double()
    assert not bool((double(points).argmax(1) == double(origin).argmax(1)).any())
    assert torch.equal(double(points).argmax(1), found.predicted[found.found])
    assert bool((found.distance[~found.found] == math.inf).all())


def by_bisection(wanted, origin, epsilon, box):
    """The projection's closed form s·δ clamped to the box, with s found by bisection in float64."""
    low, high = box[0] - origin, box[1] - origin
    shrunk = lambda s: (s * wanted).clamp(low, high)  # noqa: E731
    small, large = 0.0, 1.0
    if shrunk(1.0).norm() <= epsilon:
        return shrunk(1.0)
    for _ in range(200):
        middle = (small + large) / 2
        small, large = (small, middle) if shrunk(middle).norm() > epsilon else (middle, large)
    return shrunk(small)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1e-4, 0.3, 2.0, 50.0]), st.sampled_from([0.05, 0.5, 3.0]))
def test_projection_gives_the_nearest_point_of_ball_and_box(seed, size, epsilon):
    generator = torch.Generator().manual_seed(seed)
    origin = torch.rand(4, 30, generator=generator).round(decimals=1)
    wanted = size * torch.randn(4, 30, generator=generator)
    found = Ball(origin, epsilon, "l2", (0.0, 1.0)).project(wanted)
    assert bool((length(found.double(), "l2") <= epsilon).all())
    for row in range(4):
        exact = by_bisection(wanted[row].double(), origin[row].double(), epsilon * INSIDE, (0.0, 1.0))
        torch.testing.assert_close(found[row].double(), exact, rtol=1e-3, atol=1e-5)


def test_projection_of_steps_too_small_to_square():
    delta = Ball(torch.zeros(1, 4), 1e-30, "l2", None).project(torch.full((1, 4), 1e-25))
    torch.testing.assert_close(delta.double().norm(), torch.tensor(1e-30).double(), rtol=1e-4, atol=0)


def test_a_rival_behind_the_nearest_one_is_found():
    """The runner-up rises everywhere but never past the leader; the third class would win, and only it is asked for."""

    class Rivals(nn.Module):
        def forward(self, x):
            first = torch.zeros_like(x[:, 0])
            second = -0.1 - 1.0 * (x[:, 0] - 0.2).square()
            third = -1.0 + 1.5 * x[:, 1]
            return torch.stack((first, second, third), 1)

    x = torch.zeros(5, 2)
    assert not bool(pgd(Rivals(), x, epsilon=1.0, restarts=1, targets=1).found.any())
    assert bool(pgd(Rivals(), x, epsilon=1.0, restarts=1, targets=2).found.all())


def test_rows_are_attacked_alike_whatever_their_batch():
    model, x = linear(), torch.randn(20, 10)
    whole = pgd(model, x, epsilon=0.3, steps=10, restarts=3)
    parts = pgd(model, x, epsilon=0.3, steps=10, restarts=3, batch_size=7)
    some = pgd(model, x[5:9], epsilon=0.3, steps=10, restarts=3, rows=torch.arange(5, 9))
    torch.testing.assert_close(whole.distance, parts.distance, rtol=1e-4, atol=0)
    torch.testing.assert_close(whole.distance[5:9], some.distance, rtol=1e-4, atol=0)


def test_more_restarts_never_find_less():
    torch.manual_seed(0)
    model = frozen(nn.Flatten(), nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 5))
    x = torch.rand(60, 16)
    few, many = (pgd(model, x, epsilon=0.3, steps=8, restarts=count) for count in (1, 4))
    assert bool((many.found | ~few.found).all())


def test_a_vanishing_gradient_does_not_stop_the_search():
    """Saturated sigmoids: the gradient is exactly zero in float32, yet a random step leaves the plateau."""
    model = frozen(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 2))
    model[0].weight.copy_(200 * torch.eye(2))
    model[0].bias.fill_(-200.0)
    model[2].weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    model[2].bias.copy_(torch.tensor([0.5, 0.0]))
    found = pgd(model, torch.zeros(20, 2), epsilon=1.5, steps=30, restarts=5)
    assert bool(found.found.any())


def test_progress_reaches_its_total():
    seen = []
    pgd(
        linear(),
        torch.randn(9, 10),
        epsilon=0.1,
        steps=2,
        restarts=2,
        batch_size=4,
        progress=lambda *at: seen.append(at),
    )
    assert seen[-1] == (9 * 4, 9 * 4)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_no_inputs_no_attack():
    found = pgd(linear(), torch.randn(0, 10), epsilon=0.1)
    assert len(found.found) == len(found.points) == 0


def test_the_leading_set_breaks_ties_by_index():
    logits = torch.tensor([[1.0, 3.0, 3.0, 0.0]])
    assert top_set(logits, 1).tolist() == [[False, True, False, False]]
    assert top_set(logits, 2).tolist() == [[False, True, True, False]]


@pytest.mark.parametrize("seed", range(4))
def test_only_rivals_that_may_enter_are_gone_for_and_nothing_is_lost(seed):
    """A class that bounds rule out never leads where the attack succeeds, and leaving it out finds as much."""
    torch.manual_seed(seed)
    model = orthogonal_(frozen(nn.Flatten(), nn.Linear(16, 16), MinMax(), nn.Linear(16, 6)))
    x, epsilon, k = torch.rand(60, 1, 4, 4), 0.2, 2
    bounds, logits = bound_model(model, (1, 4, 4)), model.double()(x.double())
    model.float()
    error = bounds.error.at(x.double().flatten(1).norm(dim=1))
    leaders = leading_classes(logits, k)
    rivals = possible_rivals(logits, leaders, bounds.margins, error, epsilon)
    proved = certify(logits, bounds.margins, epsilon, TopK(k), logits_error=error).radii[:, k - 1] >= epsilon
    assert torch.equal(proved, ~rivals.any(1))
    assert bool(((~rivals).sum(1) > k).any()), "some classes are ruled out"
    free = pgd(model, x, epsilon=epsilon, k=k, steps=20, restarts=2)
    bound = pgd(model, x, epsilon=epsilon, k=k, steps=20, restarts=2, rivals=rivals)
    assert torch.equal(free.found, bound.found)
    assert 0 < int(bound.found.sum()) < 60
    entered = top_set(model.double()(bound.points.double()), k) & ~top_set(logits, k)[bound.found]
    assert not bool((entered & ~rivals[bound.found]).any())


def test_saturated_logits_hide_nothing():
    """Scaled by 1e4 the probability of the label is 1 in float32, and its logarithm flat."""
    torch.manual_seed(0)
    model = frozen(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 3))
    steep = copy.deepcopy(model)
    for parameter in steep[2].parameters():
        parameter.mul_(1e4)
    x = torch.randn(60, 10)
    highest = steep(x).topk(2, dim=1).values
    assert float((highest[:, 0] - highest[:, 1]).median()) > 100, "float32 sees no other class"
    ball = Ball(x, 0.5, "l2", None)
    search = _Search(steep, copy.deepcopy(steep).double(), ball, 1, None)
    _, gradient, _ = search._slope(_surprise, torch.arange(60), torch.zeros_like(x))
    assert bool((gradient.abs().amax(1) > 0).all())
    found = [pgd(each, x, epsilon=0.5, steps=20, restarts=3).found for each in (model, steep)]
    assert torch.equal(*found)


def test_float64_logits_are_taken_as_certificates_take_them():
    seen = []

    class Watched(nn.Module):
        def forward(self, x):
            seen.append((x.dtype, torch.backends.cudnn.enabled))
            return torch.stack((x[:, 0], -x[:, 0]), 1)

    pgd(Watched(), torch.full((3, 2), 0.05), epsilon=0.2, steps=4, restarts=1)
    assert {on for kind, on in seen if kind == torch.float64} == {False}
    assert {on for kind, on in seen if kind == torch.float32} == {torch.backends.cudnn.enabled}
