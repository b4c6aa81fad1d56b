"""Lower bounds on the Lipschitz constant of a margin, from pairs of points (thesis eq. 6.12): how loose an upper
bound can be.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from auditor.methods.robustness.arithmetic import plain_convolutions
from auditor.methods.robustness.ball import Ball, length, steepest
from auditor.methods.robustness.rounding import UNIT
from auditor.terms import Norm

CLOSEST = 1e-2
"""How far apart a pair ends, relative to where it began."""

STALLED = 1e-3
"""A row whose slope rose by less than this share over `PATIENCE` steps is climbed no further."""
PATIENCE = 6

FIRST_DIRECTION = 1008
"""Number of the random draw of v, beyond any restart's."""

ENTRIES = 1 << 24
"""Entries of [rows, classes, classes] held at once."""

Error = Callable[[Tensor], Tensor]
"""2-norms of inputs [rows] -> how far their logits may lie from the exact ones in the 2-norm [rows]."""


class Steepest(NamedTuple):
    """The steepest pair met for each row, float64.

    `slope` [rows]: |m(x₁) − m(x₂)| / ‖x₁ − x₂‖ for its steepest margin m, never above the exact quotient where the
    evaluation error is known. `first`, `second` [rows, *input]: the points.
    """

    slope: Tensor
    first: Tensor
    second: Tensor


def lipschitz_lower(
    model: nn.Module,
    inputs: Tensor,
    *,
    norm: Norm = "l2",
    box: tuple[float, float] | None = None,
    spread: float = 0.1,
    steps: int = 40,
) -> Tensor:
    """For each of `inputs`, a lower bound [rows], float64, on the Lipschitz constant of a margin (`steepest_pairs`)."""
    return steepest_pairs(model, inputs, norm=norm, box=box, spread=spread, steps=steps).slope


def steepest_pairs(
    model: nn.Module,
    inputs: Tensor,
    *,
    norm: Norm = "l2",
    radius: float | None = None,
    box: tuple[float, float] | None = None,
    spread: float = 0.1,
    steps: int = 40,
    restarts: int = 1,
    seed: int = 0,
    rows: Tensor | None = None,
    error: Error | None = None,
    batch_size: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Steepest:
    """Maximises eq. 6.12 for each of `inputs` [rows, *input]: the slope of a margin between two points.

    With a `radius`, both points stay within it of the input, and the margin is that of the class predicted at the
    first over any other, as printed. Without one they go anywhere in `box`, and the margin is any, since that is what
    a global constant bounds. A pair c ± h·v begins `spread` (or `radius`) apart around the input; restarts begin
    elsewhere. Each step turns v along the sum of the two gradients, the steepest direction for the pair (for a linear
    model at once), moves c along their difference, and narrows h. `error` is subtracted from every quotient, with all
    rounding, so that a slope is never above the truth. `rows` number the inputs, so that the starts of a row do not
    depend on its batch.
    """
    double = copy.deepcopy(model).double()
    numbers = torch.arange(len(inputs)) if rows is None else rows
    found = []
    for start in range(0, len(inputs), batch_size):
        part = slice(start, start + batch_size)
        origin = inputs[part].detach().double()
        best = Steepest(origin.new_zeros(len(origin)), origin.clone(), origin.clone())
        for restart in range(restarts):
            centre = _start(origin, inputs.detach(), radius, norm, box, numbers[part].tolist(), seed, restart)
            ball = None if radius is None else Ball(origin, radius, norm, box)
            span = spread if radius is None else radius
            _climb(double, best, centre, ball, norm, box, span, steps, error, numbers[part].tolist(), seed)
            if progress is not None:
                progress(start * restarts + (restart + 1) * len(origin), len(inputs) * restarts)
        found.append(best)
    if not found:
        empty = inputs.detach().double()
        return Steepest(empty.new_zeros(0), empty, empty)
    return Steepest(*(torch.cat(column) for column in zip(*found, strict=True)))


def _start(
    origin: Tensor, inputs: Tensor, radius: float | None, norm: Norm, box: tuple[float, float] | None,
    numbers: list[int], seed: int, restart: int,
) -> Tensor:  # fmt: skip
    """Where a pair begins: the input; then anywhere in its ball, or on the line through it and another input."""
    if restart == 0:
        return origin
    if radius is not None:
        return origin + Ball(origin, radius, norm, box).random(numbers, seed, restart)
    centres = []
    for place, number in enumerate(numbers):
        generator = torch.Generator().manual_seed((seed * 1_000_003 + number) * 1009 + restart)
        other = inputs[int(torch.randint(len(inputs), (), generator=generator))].double()
        share = 2 * float(torch.rand((), generator=generator))
        centres.append(origin[place] + share * (other - origin[place]))
    return _boxed(torch.stack(centres), box)


def _climb(
    double: nn.Module, best: Steepest, centre: Tensor, ball: Ball | None, norm: Norm, box: tuple[float, float] | None,
    span: float, steps: int, error: Error | None, numbers: list[int], seed: int,
) -> None:  # fmt: skip
    """Climbs from `centre`, writing every steeper pair into `best`."""
    active = torch.arange(len(centre), device=centre.device)
    direction = Ball(centre, span, norm, None).random(numbers, seed, FIRST_DIRECTION)
    direction = steepest(direction, norm)
    top = centre.new_zeros(len(centre))
    seen = top
    for step in range(steps):
        mine = None if ball is None else ball.of(active)
        half = span / 2 * CLOSEST ** (step / max(1, steps - 1))
        confined = partial(_confined, ball=mine, box=box)
        first = confined(centre + half * direction).requires_grad_()
        second = confined(centre - half * direction).requires_grad_()
        slope, (rise, other) = _quotient(double, first, second, norm, error, predicted=ball is not None)
        steeper = slope > best.slope[active]
        where = active[steeper]
        best.slope[where] = slope[steeper]
        best.first[where], best.second[where] = first.detach()[steeper], second.detach()[steeper]
        top = torch.maximum(top, slope)
        centre = confined(centre + half * steepest(rise + other, norm))
        direction = steepest(rise - other, norm, otherwise=direction)
        if step % PATIENCE == PATIENCE - 1:
            going = top > seen * (1 + STALLED)
            active, centre, direction, top = active[going], centre[going], direction[going], top[going]
            seen = top
            if not len(active):
                return


def _quotient(
    double: nn.Module, first: Tensor, second: Tensor, norm: Norm, error: Error | None, *, predicted: bool
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The steepest margin's slope between the points of each pair, and the gradients of its rise by the two points."""
    with torch.enable_grad(), plain_convolutions():
        ahead, behind = double(first), double(second)
        change = ahead - behind
        spread = change.amax(1) - change.amin(1)
        if predicted:
            leading = change.gather(1, ahead.argmax(1, keepdim=True))
            spread = (leading - change).abs().amax(1)
        gradients = torch.autograd.grad(spread.sum(), (first, second))
    doubt, gap = _allowance(ahead.detach(), behind.detach(), first.detach(), second.detach(), norm, error)
    return _sure(spread.detach(), doubt, gap), (gradients[0], gradients[1])


def margin_slopes(model: nn.Module, pairs: Steepest, *, norm: Norm, error: Error | None = None) -> Tensor:
    """Lower bounds [classes, classes], float64, on the Lipschitz constant of each margin f_j − f_i, from `pairs`."""
    double = copy.deepcopy(model).double()
    with torch.no_grad(), plain_convolutions():
        ahead, behind = double(pairs.first), double(pairs.second)
    doubt, gap = _allowance(ahead, behind, pairs.first, pairs.second, norm, error)
    change = ahead - behind
    classes = change.shape[1]
    found = change.new_zeros(classes, classes)
    batch = max(1, ENTRIES // classes**2)
    for start in range(0, len(change), batch):
        part = slice(start, start + batch)
        rises = (change[part, :, None] - change[part, None, :]).abs()
        found = torch.maximum(found, _sure(rises, doubt[part, None, None], gap[part, None, None]).amax(0))
    return found.fill_diagonal_(0.0)


def _allowance(
    ahead: Tensor, behind: Tensor, first: Tensor, second: Tensor, norm: Norm, error: Error | None
) -> tuple[Tensor, Tensor]:
    """How far a margin's computed change may lie from the exact one, and ‖first − second‖ rounded up [rows].

    Two logits of a row move by at most √2 · error against each other, at either point. 16u of the largest logit covers
    the three subtractions of a change; a norm of n coordinates, each exact to a rounding, has n + 16 roundings.
    """
    doubt = 16 * UNIT * torch.maximum(ahead.abs().amax(1), behind.abs().amax(1))
    if error is not None:
        reach = error(first.flatten(1).norm(dim=1)) + error(second.flatten(1).norm(dim=1))
        doubt = doubt + 1.4142135623730952 * (1 + 4 * UNIT) * reach.to(doubt)
    return doubt, length(first - second, norm) * (1 + (math.prod(first.shape[1:]) + 16) * 2 * UNIT)


def _sure(rises: Tensor, doubt: Tensor, gap: Tensor) -> Tensor:
    """`rises` less `doubt` over `gap`, rounded down; 0 where that is no number."""
    slopes = (rises - doubt) * (1 - 8 * UNIT) / gap
    return torch.where(slopes.isfinite() & (gap > 0), slopes.clamp_min(0), 0.0)


def _boxed(points: Tensor, box: tuple[float, float] | None) -> Tensor:
    return points if box is None else points.clamp(*box)


def _confined(points: Tensor, *, ball: Ball | None, box: tuple[float, float] | None) -> Tensor:
    if ball is None:
        return _boxed(points, box).detach()
    return ball.points(ball.project(points - ball.origin)).detach()
