"""Branch and bound covers the whole region: where a lead fails anywhere, it is never proved, attack or not."""

import math
import time

import pytest
import torch
from torch import nn

from auditor.methods.robustness.graph import network
from auditor.methods.robustness.linear_bounds import splitting
from auditor.methods.robustness.linear_bounds.certifying import ball
from auditor.methods.robustness.linear_bounds.leads import differences
from auditor.methods.robustness.linear_bounds.relaxation import Relaxation, steps


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_part_where_the_lead_fails_is_never_lost(norm, monkeypatch):
    monkeypatch.setattr(splitting, "_refuted", lambda *_: False)
    tried = 0
    for seed in range(60):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 2)).double()
        model.requires_grad_(False)[-1].weight.mul_(3.0)
        x = torch.randn(1, 2, dtype=torch.float64)
        order = model(x).argsort(1, descending=True)
        angle = torch.linspace(0, 2 * math.pi, 200, dtype=torch.float64)
        around = torch.stack((angle.cos(), angle.sin()), 1) * (1 - 1e-9)
        epsilon = 0.8
        out = model(x + epsilon * around).gather(1, order.expand(200, -1))
        if not float((out[:, 0] - out[:, 1]).min()) < -0.01:
            continue
        tried += 1
        relaxed = Relaxation(steps(network(model, (2,))), ball(x, epsilon, norm))
        relaxed.fill()
        apart = differences(torch.tensor([[0, 1]]), order)
        found, _ = splitting.split(relaxed, apart, time.monotonic() + 0.1)
        assert found.tolist() == [-math.inf]
    assert tried >= 8


@pytest.mark.parametrize("exponent", [0, 700, -700])
def test_boxes_outside_the_ball_are_seen_and_others_kept(exponent):
    """Whatever the scale: squares of distances overflow or vanish."""
    scale = 2.0**exponent
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, generator=generator, dtype=torch.float64)
    region = ball(x * scale, scale, "l2")
    centre = x + 2 * torch.randn(500, 3, generator=generator, dtype=torch.float64)
    radius = torch.rand(500, 3, generator=generator, dtype=torch.float64)
    boxes = splitting._region((centre - radius) * scale, (centre + radius) * scale, region)
    nearest = torch.minimum(torch.maximum(x, centre - radius), centre + radius)
    distance = (nearest - x).norm(dim=1)
    outside = splitting._outside(boxes)
    assert bool((distance[outside] > 1.0).all())
    assert bool((distance[~outside] <= 1.0 + 1e-6).all())


def test_time_ends_the_search_and_says_so():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 2)).double()
    x = torch.randn(1, 6, dtype=torch.float64)
    relaxed = Relaxation(steps(network(model.requires_grad_(False), (6,))), ball(x, 1.0, "linf"))
    relaxed.fill()
    apart = differences(torch.tensor([[0, 1]]), torch.tensor([[0, 1]]))
    found, late = splitting.split(relaxed, apart, time.monotonic() - 1.0)
    assert (found.tolist(), late) == ([-math.inf], True)
