"""Ascent of a loss over a ball, with a step that shrinks where it no longer helps (Croce & Hein 2020, Auto-PGD)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from auditor.methods.robustness.ball import Ball, per_row, steepest

MOMENTUM = 0.75
"""Share of a move that follows the gradient; the rest repeats the move before."""

RISING = 0.75
"""Share of the steps between two looks that must have raised the loss, or the step is halved."""

FINEST = 0.03
"""An ascent ends where its step falls below this share of epsilon."""

LOOK = 4
"""Fewest steps from one look at the loss to the next."""

Slope = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""(rows, δ) -> loss [rows], its gradient by δ, and which rows still stand [rows]; called at every point visited."""


class _Climb(NamedTuple):
    """Where each row is, one entry a row: its δ and the one before, the best so far with its loss and gradient, its
    pace, and how often its loss rose since the last look, when it was `seen`.
    """

    rows: Tensor
    delta: Tensor
    before: Tensor
    best: Tensor
    loss: Tensor
    uphill: Tensor
    spare: Tensor
    pace: Tensor
    rises: Tensor
    seen: Tensor

    def keep(self, which: Tensor) -> _Climb:
        return self if bool(which.all()) else _Climb(*(column[which] for column in self))


def climb(ball: Ball, rows: Tensor, start: Tensor, slope: Slope, *, steps: int, spare: Tensor) -> None:
    """Climbs from `start` [rows, *input] for at most `steps` gradients; `spare` is the direction where there is none.

    A step first has length epsilon. At fixed intervals it is halved, and the climb resumes from the best point, for
    rows whose loss rose in too few steps or not at all since the last look. Rows that fall, or whose step has become
    too short to matter, take no further part.
    """
    lowest = start.new_full((len(rows),), -torch.inf)
    pace = torch.full_like(lowest, ball.epsilon)
    best, uphill = start.clone(), start.clone()
    at = _Climb(rows, start, start, best, lowest, uphill, spare, pace, torch.zeros_like(rows), lowest)
    interval = max(LOOK, steps // 16)
    for number in range(1, steps + 1):
        loss, gradient, standing = slope(at.rows, at.delta)
        rose = loss > at.loss
        risen = rose.nonzero().flatten()
        at.best[risen], at.uphill[risen] = at.delta[risen], gradient[risen]
        at = at._replace(loss=torch.maximum(loss, at.loss), rises=at.rises + rose)
        at, gradient = at.keep(standing), gradient[standing]
        if number % interval == 0:
            slow = (at.rises < RISING * interval) | (at.loss <= at.seen)
            back = slow.nonzero().flatten()
            gradient = gradient.index_copy(0, back, at.uphill[back])
            at = at._replace(
                delta=at.delta.index_copy(0, back, at.best[back]), before=at.before.index_copy(0, back, at.best[back]),
                pace=torch.where(slow, at.pace / 2, at.pace), rises=torch.zeros_like(at.rises), seen=at.loss,
            )  # fmt: skip
            going = at.pace >= FINEST * ball.epsilon
            at, gradient = at.keep(going), gradient[going]
        if not len(at.rows) or number == steps:
            return
        mine = ball.of(at.rows)
        direction = steepest(gradient, ball.norm, otherwise=at.spare)
        move = direction.mul_(per_row(at.pace, at.delta))
        if number > 1:
            move = move.mul_(MOMENTUM).add_(at.delta - at.before, alpha=1 - MOMENTUM)
        ahead = mine.project(move.add_(at.delta))
        at = at._replace(delta=ahead, before=at.delta)


def march(ball: Ball, rows: Tensor, start: Tensor, slope: Slope, *, steps: int, step: float, spare: Tensor) -> None:
    """The textbook ascent: `steps` steps of length `step` · epsilon each (Madry et al. 2018)."""
    delta = start
    for _ in range(steps):
        _, gradient, standing = slope(rows, delta)
        rows, delta, gradient, spare = rows[standing], delta[standing], gradient[standing], spare[standing]
        if not len(rows):
            return
        direction = steepest(gradient, ball.norm, otherwise=spare)
        delta = ball.of(rows).project(delta + step * ball.epsilon * direction)
    slope(rows, delta)
