"""Mean gradients along straight lines, exact up to completeness: Σ mean · (end - start) = q(end) - q(start)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

FIRST_STEPS = 16


class Gradients(NamedTuple):
    """The quantity's gradient at the slice, and with respect to the points (the same where these lie in the slice)."""

    at_slice: Float[Tensor, "points *slice"]
    at_points: Float[Tensor, "points *space"]


class LineMean(NamedTuple):
    """`residual`: |Σ mean · (end - start) - difference| / scale. `steps`: trapezoids used."""

    mean: Float[Tensor, "rows *slice"]
    residual: Float[Tensor, " rows"]
    steps: Int64[Tensor, " rows"]


def line_mean(
    gradients: Callable[[Tensor, Tensor], Gradients],
    start: Float[Tensor, "rows *space"],
    end: Float[Tensor, "rows *space"],
    *,
    difference: Float[Tensor, " rows"],
    scale: Float[Tensor, " rows"],
    tolerance: float,
    max_steps: int,
    batch_size: int,
) -> LineMean:
    """The nested trapezoid rule, doubled for each row until its residual is within `tolerance`, or at `max_steps`.

    `gradients` takes points and the row each belongs to. Doubling keeps all earlier points. Gauss-Legendre nodes have
    no edge here: along a line a ReLU network's gradient is a step function. Holds `batch_size` points at a time.
    """
    active = torch.arange(len(start), device=start.device)
    residual = start.new_empty(len(start), dtype=torch.float64)
    steps = active.new_zeros(len(start))
    count = min(FIRST_STEPS, max_steps)
    nodes = torch.linspace(0, 1, count + 1, dtype=start.dtype, device=start.device)
    weights = torch.full_like(nodes, 1 / count)
    weights[[0, -1]] /= 2
    current, total = _sums(gradients, start, end, active, nodes, weights, batch_size)
    mean = torch.empty_like(current)
    while True:
        excess = (total - difference[active].double()).abs()
        residual[active] = torch.where(excess == 0, 0.0, excess / scale[active].double())
        steps[active] = count
        open_ = ~(residual[active] <= tolerance)
        if count * 2 > max_steps:
            open_[:] = False
        mean[active[~open_]] = current[~open_]
        active, current, total = active[open_], current[open_], total[open_]
        if len(active) == 0:
            return LineMean(mean, residual, steps)
        nodes = (torch.arange(count, dtype=start.dtype, device=start.device) + 0.5) / count
        midway, midway_total = _sums(
            gradients, start, end, active, nodes, torch.full_like(nodes, 1 / count), batch_size
        )
        current, total = current.add_(midway).div_(2), (total + midway_total) / 2
        count *= 2


def _sums(
    gradients: Callable[[Tensor, Tensor], Gradients],
    start: Tensor,
    end: Tensor,
    rows: Tensor,
    nodes: Tensor,
    weights: Tensor,
    batch_size: int,
) -> tuple[Tensor, Tensor]:
    """For each of `rows`, the weighted sums over `nodes` of the gradient and of its product with the direction."""
    parts, totals = [], []
    for group in rows.split(max(1, batch_size // len(nodes))):
        direction = end[group] - start[group]
        part: Tensor | None = None
        total = start.new_zeros(len(group), dtype=torch.float64)
        for some, weight in zip(nodes.split(batch_size), weights.split(batch_size), strict=True):
            share = some.view(1, -1, *(1,) * (start.ndim - 1))
            points = start[group].unsqueeze(1) + share * direction.unsqueeze(1)
            found = gradients(points.flatten(0, 1), group.repeat_interleave(len(some)))
            piece = torch.einsum("n,rnd->rd", weight, found.at_slice.reshape(len(group), len(some), -1))
            piece = piece.view(len(group), *found.at_slice.shape[1:])
            if found.at_points is found.at_slice:
                along = (piece * direction).flatten(1).sum(1, dtype=torch.float64)
            else:
                line = torch.einsum("n,rnd->rd", weight, found.at_points.reshape(len(group), len(some), -1))
                along = (line * direction.flatten(1)).sum(1, dtype=torch.float64)
            part = piece if part is None else part.add_(piece)
            total += along
        assert part is not None
        parts.append(part)
        totals.append(total)
    return torch.cat(parts), torch.cat(totals)
