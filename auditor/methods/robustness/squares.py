"""Search without gradients: windows of a perturbation are drawn anew, and kept where the loss does not fall (Square
Attack, Andriushchenko et al. 2020).

For rows whose gradient says nothing, as behind a layer that rounds. Equal losses are kept too, so that a search goes on
across the plateaus of such a layer. In ℓ∞ a window takes ±ε; in ℓ₂ it takes all the length that it, and another window
which is emptied for it, leave free.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from auditor.methods.robustness.ball import INSIDE, Ball, per_row

SHARE = 0.8
"""Of the positions that the first windows cover."""

HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of all queries after which windows become half as large, as Andriushchenko et al. have them."""

Height = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(rows, δ) -> loss [rows], and which rows still stand [rows]; called at every point visited."""


class _Draws(NamedTuple):
    """The chance of each row: `stripes` [rows, channels, 1, width], ±1, from which it starts; for every query four
    `places` in [0, 1) [rows, queries, 4] and `signs` [rows, queries, channels].
    """

    stripes: Tensor
    places: Tensor
    signs: Tensor


def roam(ball: Ball, rows: Tensor, numbers: list[int], seed: int, height: Height, *, queries: int) -> None:
    """Looks for a large loss around `rows` of `ball` by at most `queries` evaluations of each after the first.

    Inputs are taken as [channels, height, width], or as one row of pixels where they are not images. Each row, named by
    `seed` and its number, draws from a generator of its own. Rows that fall take no further part.
    """
    shape = ball.origin.shape[1:]
    image = tuple(shape) if len(shape) == 3 else (1, 1, math.prod(shape))
    draws = _drawn(numbers, seed, queries, image, ball.origin)
    mine = ball.of(rows)
    delta = _filled(ball, draws.stripes.expand(-1, -1, image[1], -1))
    delta = mine.project(delta.reshape(len(rows), *shape))
    loss, standing = height(rows, delta)
    at = torch.arange(len(rows), device=rows.device)
    for query in range(queries):
        if not bool(standing.all()):
            at, delta, loss = at[standing], delta[standing], loss[standing]
            mine = ball.of(rows[at])
        if not len(at):
            return
        side = SHARE * 0.5 ** sum(query >= part * queries for part in HALVINGS)
        window, emptied = (
            _window(draws.places[at, query, 2 * which : 2 * which + 2], side, image) for which in range(2)
        )
        ahead = _redrawn(ball, delta.reshape(-1, *image), window, emptied, draws.signs[at, query, :, None, None])
        ahead = mine.project(ahead.reshape(delta.shape))
        risen, standing = height(rows[at], ahead)
        kept = risen >= loss
        delta, loss = torch.where(per_row(kept, delta), ahead, delta), torch.where(kept, risen, loss)


def _drawn(numbers: list[int], seed: int, queries: int, image: tuple[int, ...], like: Tensor) -> _Draws:
    channels, _, width = image
    stripes, places, signs = [], [], []
    for number in numbers:
        generator = torch.Generator().manual_seed((seed * 1_000_003 + number) * 1009 + 1008)
        stripes.append(2 * torch.randint(2, (channels, 1, width), generator=generator) - 1)
        places.append(torch.rand(queries, 4, generator=generator))
        signs.append(2 * torch.randint(2, (queries, channels), generator=generator) - 1)
    return _Draws(*(torch.stack(each).to(like) for each in (stripes, places, signs)))


def _window(places: Tensor, share: float, image: tuple[int, ...]) -> Tensor:
    """A window of about this share of an image for each of `places` [rows, 2]: a mask [rows, 1, height, width]."""
    _, height, width = image
    area = share * height * width
    tall = min(height, max(1, round(math.sqrt(area))))
    wide = min(width, max(1, round(area / tall)))
    masks = []
    for place, size, extent in zip(places.unbind(1), (height, width), (tall, wide), strict=True):
        first = (place * (size - extent + 1)).floor()[:, None]
        positions = torch.arange(size, device=places.device)
        masks.append((positions >= first) & (positions < first + extent))
    return (masks[0][:, :, None] & masks[1][:, None, :])[:, None]


def _redrawn(ball: Ball, delta: Tensor, window: Tensor, emptied: Tensor, signs: Tensor) -> Tensor:
    """`delta` [rows, channels, height, width] with its window drawn anew, of one sign a channel [rows, channels, 1, 1].

    In ℓ₂ what the window held before gives half of its new direction.
    """
    if ball.norm == "linf":
        return torch.where(window, ball.epsilon * INSIDE * signs, delta)
    inside = delta * window
    held = inside / per_row(inside.flatten(1).norm(dim=1).clamp_min(1e-30), delta)
    fresh = signs * window
    fresh = fresh / per_row(fresh.flatten(1).norm(dim=1), delta) + held
    rest = delta * ~(window | emptied)
    free = ((ball.epsilon * INSIDE) ** 2 - rest.flatten(1).square().sum(1)).clamp_min(0).sqrt()
    return rest + fresh * per_row(free / fresh.flatten(1).norm(dim=1).clamp_min(1e-30), delta)


def _filled(ball: Ball, signs: Tensor) -> Tensor:
    """A δ that uses all of the ball, of these signs [rows, channels, height, width]."""
    reach = ball.epsilon * INSIDE
    return signs * (reach if ball.norm == "linf" else reach / math.sqrt(signs[0].numel()))
