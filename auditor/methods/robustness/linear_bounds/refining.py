"""What is tried for a row that the first pass leaves undecided: an attack, better slopes, smaller regions.

An attack that succeeds ends the search, since there is nothing to prove. Slopes: an upper and a lower line of any slope
between the two that touch the graph is sound, once its offset is computed; a few steps of gradient ascent choose them
for each pair of classes (α-CROWN, Xu et al. 2021). Regions: `splitting`.
"""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import torch
from torch import Tensor

from auditor.methods.robustness.ball import steepest
from auditor.methods.robustness.linear_bounds.leads import compared, differences, known
from auditor.methods.robustness.linear_bounds.lines import Lines
from auditor.methods.robustness.linear_bounds.region import Region
from auditor.methods.robustness.linear_bounds.relaxation import Relaxation
from auditor.methods.robustness.linear_bounds.splitting import split

SLOPE_STEPS = 16
RATE = 0.2
ATTACK_STEPS = 8
FEW_INPUTS = 32
"""Networks of more inputs are not split: halving one of many changes little."""
INSIDE = 1 - 1e-9


class Sought(NamedTuple):
    """One row's question: its first pass, classes by falling logit [classes], for which k the first k are to lead the
    rest [sizes], and until when (`time.monotonic`) it may take.
    """

    relaxed: Relaxation
    order: Tensor
    wanted: Tensor
    deadline: float


def refined(sought: Sought, margin: Tensor) -> tuple[Tensor, bool]:
    """The margins [sizes] from those of the first pass on, and whether time ran out before everything was tried."""
    margin, late = margin.clone(), False
    few = math.prod(sought.relaxed.region.centre.shape[1:]) <= FEW_INPUTS
    for place in (sought.wanted & (margin <= 0)).nonzero().flatten().tolist():
        only = torch.zeros_like(sought.wanted)
        only[place] = True
        pairs = compared(only[None], len(sought.order))
        if attacked(sought, pairs):
            continue
        each = sloped(sought, pairs)
        if float(each.amin()) <= 0 and few:
            apart = differences(pairs[each <= 0], sought.order[None])
            rest, late_here = split(sought.relaxed, apart, sought.deadline)
            each[each <= 0] = torch.maximum(rest, each[each <= 0])
            late |= late_here
        else:
            late |= float(each.amin()) <= 0 and time.monotonic() > sought.deadline
        margin[place] = torch.maximum(margin[place], each.amin())
    return margin, late


def attacked(sought: Sought, pairs: Tensor) -> bool:
    """Whether a few gradient steps for each pair meet a point of the ball where it has no lead."""
    relaxed = sought.relaxed
    region = relaxed.region.of(torch.zeros(len(pairs), dtype=torch.int64, device=pairs.device))
    apart = differences(pairs, sought.order[None])[0]
    moved = torch.zeros_like(region.centre)
    for step in range(ATTACK_STEPS):
        with torch.enable_grad():
            at = (region.centre + moved).requires_grad_(True)
            lead = (relaxed.run(at) * apart).sum(1)
            (gradient,) = torch.autograd.grad(lead.sum(), at)
        if bool((lead <= 0).any()):
            return True
        moved = inside(region, moved - (2.0 if step == 0 else 0.5) * reach(region) * direction(region, gradient))
    return False


def reach(region: Region) -> Tensor | float:
    return region.radius if region.epsilon is None else region.epsilon


def direction(region: Region, gradient: Tensor) -> Tensor:
    return steepest(gradient, "linf" if region.epsilon is None else "l2")


def inside(region: Region, moved: Tensor) -> Tensor:
    """Shortened to lie within the region around its centre."""
    moved = torch.minimum(torch.maximum(moved, -region.radius * INSIDE), region.radius * INSIDE)
    if region.epsilon is None:
        return moved
    length = moved.flatten(1).norm(dim=1).reshape(-1, *[1] * (moved.ndim - 1))
    return moved * (region.epsilon * INSIDE / length.clamp_min(1e-300)).clamp_max(1.0)


def sloped(sought: Sought, pairs: Tensor) -> Tensor:
    """The best lower bound on each pair's lead over some choices of slopes [pairs]."""
    relaxed = sought.relaxed.of(torch.zeros(len(pairs), dtype=torch.int64, device=pairs.device))
    apart = differences(pairs, sought.order[None])[0][:, None]
    last = len(relaxed.steps) - 1
    best = known(relaxed.least(last, apart)[:, 0])
    choices = [_choice(relaxed, place) for place, drawn in enumerate(relaxed.graphs) if drawn is not None]
    places = [place for place, drawn in enumerate(relaxed.graphs) if drawn is not None]
    free = [share for choice in choices for share in choice.shares]
    if not free:
        return best
    climber = torch.optim.Adam(free, RATE, maximize=True)
    for _ in range(SLOPE_STEPS):
        if float(best.amin()) > 0 or time.monotonic() > sought.deadline:
            break
        with torch.enable_grad():
            for place, choice in zip(places, choices, strict=True):
                relaxed.use(place, choice.lines())
            found = relaxed.least(last, apart)[:, 0]
            climber.zero_grad()
            torch.where(found.isfinite(), found, 0.0).sum().backward()
        best = torch.maximum(best, known(found.detach()))
        climber.step()
        for share in free:
            share.data.nan_to_num_(0.5).clamp_(0.0, 1.0)
    return best


class _Choice:
    """The lines of one activation as shares between those that touch its graph."""

    def __init__(self, graph, ends, shares) -> None:
        self.graph, self.ends, self.shares = graph, ends, shares

    def lines(self) -> Lines:
        (a, b), (c, d) = self.ends
        lower, upper = a + self.shares[0] * (b - a), c + self.shares[1] * (d - c)
        return Lines(lower, self.graph.lower_offset(lower), upper, self.graph.upper_offset(upper))


def _choice(relaxed: Relaxation, place: int) -> _Choice:
    """Starting from the lines of the first pass."""
    graph, lines = relaxed.graphs[place], relaxed.lines[place]
    assert graph is not None
    assert lines is not None
    ends = (graph.lower_slopes(), graph.upper_slopes())
    shares = []
    for slope, (a, b) in zip((lines.lower_slope, lines.upper_slope), ends, strict=True):
        share = ((slope - a) / (b - a)).nan_to_num(0.5, 0.5, 0.5).clamp(0.0, 1.0)
        shares.append(share.clone().requires_grad_(True))
    return _Choice(graph, ends, shares)
