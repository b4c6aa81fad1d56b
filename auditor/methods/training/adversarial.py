"""The attack inside adversarial training (Madry et al. 2018): projected ascent of the loss itself, quick rather than
strong. What it finds proves nothing; `methods.robustness.attacks` is the attack that an audit reports.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from auditor.methods.robustness.ball import Ball, per_row, steepest
from auditor.tensors import Inputs, Labels, Logits
from auditor.terms import Norm

REACH = 2.5
"""The steps of an ascent add up to this many epsilons, so that it can cross the ball and settle (Madry et al.)."""


def worst_points(
    model: Callable[[Inputs], Logits],
    inputs: Inputs,
    labels: Labels,
    *,
    epsilon: float,
    norm: Norm,
    steps: int,
    box: tuple[float, float] | None,
    generator: torch.Generator,
) -> Inputs:
    """Points within `epsilon` of `inputs` and within `box` that `steps` of ascent of the cross-entropy lead to, from
    random points of the ball. `generator` lives on the device of `inputs`.
    """
    ball = Ball(inputs, epsilon, norm, box)
    noise = torch.randn(inputs.shape, generator=generator, device=inputs.device, dtype=inputs.dtype)
    share = torch.rand(len(inputs), generator=generator, device=inputs.device, dtype=inputs.dtype)
    if norm == "linf":
        start = epsilon * (2 * torch.special.ndtr(noise) - 1)
    else:
        start = per_row(epsilon * share, noise) * steepest(noise, norm)
    delta = ball.project(start)
    for _ in range(steps if epsilon > 0 else 0):
        points = ball.points(delta).requires_grad_()
        with torch.enable_grad():
            loss = functional.cross_entropy(model(points), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, points)
        delta = ball.project(delta + REACH * epsilon / steps * steepest(gradient, norm))
    return ball.points(delta).detach()
