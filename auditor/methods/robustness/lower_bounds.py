"""Lower bounds on the Lipschitz constant of a margin, from pairs of points (thesis eq. 6.12): how loose an upper
bound can be.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

APART = 1e-3
"""Smallest distance between two points whose margins are compared, relative to the start's: rounding stays
negligible.
"""


def lipschitz_lower(
    model: nn.Module, inputs: Tensor, *, box: tuple[float, float] | None = None, spread: float = 0.1, steps: int = 40
) -> Tensor:
    """For each of `inputs`, a lower bound [rows], float64, on the 2-norm Lipschitz constant of the lead of its
    predicted class.

    Maximises |m(x₁) − m(x₂)| / ‖x₁ − x₂‖ by gradient ascent from the input and a point `spread` away along the
    gradient of m = f_j − f_i, with j the predicted class and i the runner-up. The largest quotient met is returned;
    any pair gives a lower bound.
    """
    double = copy.deepcopy(model).double()
    origin = inputs.detach().double()
    with torch.no_grad():
        leaders = double(origin).topk(2, dim=1).indices

    def margin(x: Tensor) -> Tensor:
        return double(x).gather(1, leaders).mul(torch.tensor([1.0, -1.0], dtype=x.dtype, device=x.device)).sum(1)

    def inside(x: Tensor) -> Tensor:
        return x if box is None else x.clamp(*box)

    first = origin.clone()
    start = origin.requires_grad_()
    (slope,) = torch.autograd.grad(margin(start).sum(), start)
    second = inside(first + spread * _unit(slope))
    best = torch.zeros(len(origin), dtype=torch.float64, device=origin.device)
    for step in range(steps):
        first, second = first.detach().requires_grad_(), second.detach().requires_grad_()
        gap = (first - second).flatten(1).norm(dim=1)
        usable = gap > APART * spread
        quotient = (margin(first) - margin(second)).abs() / gap.clamp_min(APART * spread)
        best = torch.maximum(best, torch.where(usable, quotient.detach(), 0.0))
        rise, other = torch.autograd.grad(quotient.sum(), (first, second))
        pace = spread * 0.5 * (1 - step / steps)
        first, second = inside(first + pace * _unit(rise)), inside(second + pace * _unit(other))
    return torch.where(best.isfinite(), best * (1 - 1e-9), 0.0)


def _unit(direction: Tensor) -> Tensor:
    shape = (-1, *[1] * (direction.ndim - 1))
    largest = direction.flatten(1).abs().amax(1).clamp_min(1e-300).reshape(shape)
    direction = direction / largest
    return direction / direction.flatten(1).norm(dim=1).clamp_min(1e-300).reshape(shape)
