"""The search without gradients: it stays in the ball, finds what ascents cannot, and leaves them alone."""

import pytest
import torch
from torch import nn

from auditor.methods.robustness import attacks
from auditor.methods.robustness.attacks import pgd
from auditor.methods.robustness.ball import Ball, length
from auditor.methods.robustness.squares import roam


class Rounded(nn.Module):
    """No gradient anywhere; `detached`, not even one that autograd knows of."""

    def __init__(self, detached=False):
        super().__init__()
        self.detached = detached

    def forward(self, x):
        levels = (8 * x).round() / 8
        return levels.detach() if self.detached else levels


def rounded(seed=0, detached=False):
    torch.manual_seed(seed)
    layers = nn.Flatten(), nn.Linear(48, 32), nn.Tanh(), nn.Linear(32, 4)
    return nn.Sequential(Rounded(detached), *layers).eval().requires_grad_(False)


IMAGES = torch.rand(30, 3, 4, 4, generator=torch.Generator().manual_seed(0))
BALLS = [("l2", 0.6), ("linf", 0.12)]


@pytest.mark.parametrize(("norm", "epsilon"), BALLS)
@pytest.mark.parametrize("detached", [False, True])
def test_rows_without_a_gradient_fall_where_ascents_see_nothing(norm, epsilon, detached, monkeypatch):
    model = rounded(detached=detached)
    options = {"epsilon": epsilon, "norm": norm, "box": (0.0, 1.0), "restarts": 2, "steps": 20}
    found = pgd(model, IMAGES, **options)
    assert bool((found.distance[found.found] <= epsilon).all())
    assert bool(((found.points >= 0) & (found.points <= 1)).all())
    double = rounded(detached=detached).double()
    assert bool((double(found.points.double()).argmax(1) != double(IMAGES[found.found].double()).argmax(1)).all())
    monkeypatch.setattr(attacks, "QUERIES", 0)
    without = pgd(model, IMAGES, **options)
    assert bool((found.found | ~without.found).all())
    assert int(found.found.sum()) >= 1.5 * int(without.found.sum()) > 0


@pytest.mark.parametrize(("norm", "epsilon"), BALLS)
@pytest.mark.parametrize("shape", [(3, 4, 4), (48,), (2, 24)])
def test_every_point_visited_lies_in_ball_and_box_and_a_row_does_as_it_would_alone(norm, epsilon, shape):
    origin = torch.rand(6, *shape, generator=torch.Generator().manual_seed(1))
    ball = Ball(origin, epsilon, norm, (0.0, 1.0))
    weights = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    visited = {row: [] for row in range(6)}

    def height(rows, delta):
        assert bool((length(delta, norm) <= epsilon).all())
        points = origin[rows] + delta
        assert bool(((points >= -1e-6) & (points <= 1 + 1e-6)).all())
        for row, each in zip(rows.tolist(), delta, strict=True):
            visited[row].append(each.clone())
        return (delta * weights).flatten(1).sum(1), torch.ones(len(rows), dtype=torch.bool)

    roam(ball, torch.arange(6), [10, 11, 12, 13, 14, 15], 3, height, queries=400)
    together, visited = visited, {row: [] for row in range(6)}
    roam(ball, torch.tensor([4]), [14], 3, height, queries=400)
    assert len(visited[4]) == 401
    assert all(torch.allclose(one, other) for one, other in zip(visited[4], together[4], strict=True))
    assert not torch.allclose(together[4][0], together[5][0])
    # Of a linear function what is kept comes near the most that there is.
    best = max(float((each * weights).sum()) for each in visited[4])
    ahead = epsilon * weights.sign() if norm == "linf" else weights
    most = float((ball.of(torch.tensor([4])).project(ahead[None])[0] * weights).sum())
    assert 0.5 * most < best <= most * (1 + 1e-4)


def test_rows_that_fall_are_asked_no_more():
    ball = Ball(torch.zeros(4, 1, 3, 3), 1.0, "linf", None)
    asked = []

    def height(rows, delta):
        asked.append(rows.tolist())
        return torch.zeros(len(rows)), rows != len(asked)

    roam(ball, torch.arange(4), [0, 1, 2, 3], 0, height, queries=20)
    assert asked[:4] == [[0, 1, 2, 3], [0, 2, 3], [0, 3], [0]]
    assert len(asked) == 21


def test_rows_with_a_gradient_are_not_searched_without(monkeypatch):
    monkeypatch.setattr(attacks, "roam", lambda *_, **__: pytest.fail("there is a gradient"))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 4)).eval().requires_grad_(False)
    pgd(model, IMAGES, epsilon=0.01, steps=5, restarts=1)


def test_rows_that_are_proved_are_not_searched(monkeypatch):
    monkeypatch.setattr(attacks, "roam", lambda *_, **__: pytest.fail("nothing may enter"))
    pgd(rounded(), IMAGES, epsilon=0.1, steps=5, restarts=1, rivals=torch.zeros(30, 4, dtype=torch.bool))
