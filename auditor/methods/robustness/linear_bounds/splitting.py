"""Linear bounds on ever smaller boxes: branch and bound over the inputs of a network that has few.

A lead that is proved positive on every box of a cover of the region is positive on it. Boxes are halved where the bound
depends most on the input: |A|·r largest. A box that lies outside the ball holds nothing to prove. Boxes share the
ends at which they meet, so that nothing falls between.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from auditor.methods.robustness.linear_bounds.leads import known
from auditor.methods.robustness.linear_bounds.region import Region
from auditor.methods.robustness.linear_bounds.relaxation import Relaxation
from auditor.methods.robustness.rounding import UNIT

BOXES = 128
"""Bounded at once."""

MOST = 1 << 16
"""Boxes that wait; with more there is no hope."""

SMALLEST = 2.0**-40
"""Of the region's own size: a box that small is not split any more."""


def split(relaxed: Relaxation, apart: Tensor, deadline: float) -> tuple[Tensor, bool]:
    """The least lead found for each of `apart` [1, pairs, classes] over a cover of the one region of `relaxed` [pairs]:
    above 0 where all of them are proved, −∞ otherwise; and whether it was time that ended the search.
    """
    whole, last = relaxed.region, len(relaxed.steps) - 1
    low, high = whole.centre - whole.radius, whole.centre + whole.radius
    waiting_low, waiting_high = _outwards(low, -1), _outwards(high, 1)
    least = torch.full((apart.shape[1],), math.inf, dtype=torch.float64, device=apart.device)
    nothing = torch.full_like(least, -math.inf)
    while len(waiting_low):
        if time.monotonic() > deadline:
            return nothing, True
        if len(waiting_low) > MOST:
            return nothing, False
        # The last ones first: depth before breadth keeps few waiting.
        low, high = waiting_low[-BOXES:], waiting_high[-BOXES:]
        waiting_low, waiting_high = waiting_low[:-BOXES], waiting_high[:-BOXES]
        region = _region(low, high, whole)
        near = ~_outside(region)
        low, high, region = low[near], high[near], region.of(near)
        if not len(low):
            continue
        part = Relaxation(relaxed.steps, region, relaxed.precision)
        part.fill()
        found, coefficients = part.substituted(last, apart.expand(len(low), -1, -1))
        found = known(found)
        proved = (found > 0).all(1)
        if bool(proved.any()):
            least = torch.minimum(least, found[proved].amin(0))
        low, high = low[~proved], high[~proved]
        if not len(low):
            continue
        if _refuted(relaxed, region.of(~proved), apart):
            return nothing, False
        open_pairs = (found[~proved] <= 0).double()
        pull = (coefficients[~proved].flatten(2).abs() * open_pairs[..., None]).sum(1)
        wide = (high - low).flatten(1)
        axis = (pull * wide + 1e-9 * wide * pull.amax(1, keepdim=True)).argmax(1, keepdim=True)
        if bool((wide.gather(1, axis) <= SMALLEST * whole.radius.amax()).any()):
            return nothing, False
        middle = (low / 2 + high / 2).flatten(1).gather(1, axis)
        left, right = high.flatten(1).scatter(1, axis, middle), low.flatten(1).scatter(1, axis, middle)
        waiting_low = torch.cat((waiting_low, low, right.reshape(low.shape)))
        waiting_high = torch.cat((waiting_high, left.reshape(high.shape), high))
    return least, False


def _outwards(edge: Tensor, sign: int) -> Tensor:
    return torch.nextafter(edge, torch.full_like(edge, sign * math.inf))


def _region(low: Tensor, high: Tensor, whole: Region) -> Region:
    """The boxes [low, high], within the ball around the whole's origin."""
    centre = low / 2 + high / 2
    radius = torch.maximum(high - centre, centre - low)
    return Region(centre, _outwards(radius, 1), whole.origin.expand_as(centre), whole.epsilon)


def _outside(region: Region) -> Tensor:
    """Whether a box is surely farther than ε from the origin of the ball [boxes]."""
    if region.epsilon is None:
        return torch.zeros(len(region.centre), dtype=torch.bool, device=region.centre.device)
    away = (region.centre - region.origin).abs()
    gap = (away * (1 - 4 * UNIT) - region.radius * (1 + 4 * UNIT)).clamp_min(0.0)
    # In units of ε, so that no square overflows that is not far outside.
    return (gap / region.epsilon).flatten(1).norm(dim=1) * (1 - 1e-9) > 1


def _refuted(relaxed: Relaxation, boxes: Region, apart: Tensor) -> bool:
    """Whether there is no lead at the centre of a box, where that lies in the ball."""
    value = boxes.centre
    if boxes.epsilon is not None:
        within = (value - boxes.origin).flatten(1).norm(dim=1) <= boxes.epsilon * (1 - 1e-9)
        value = value[within]
    if not len(value):
        return False
    return bool((relaxed.run(value)[:, None] * apart).sum(2).le(0).any())
