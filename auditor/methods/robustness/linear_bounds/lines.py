"""Two lines that enclose an activation on an interval, for any activation by one construction.

Of the graph of φ over [l, u] some points are taken: the ends, the kinks, and for a smooth φ a mesh. Between neighbours
h apart φ lies within D·h²/8 of its chord (`curvature`), so a line above both points of each piece, raised by that much,
is above φ. For any slope s whatever, max over the points of φ(x) + D·h²/8 − s·x is therefore an offset of an upper line
(DeepPoly, Singh et al. 2019, and CROWN, Zhang et al. 2018, choose s and need a proof for each φ); rounding is added to
it. So slopes are a matter of tightness alone. Those tried run through an end of the graph and touch it elsewhere, along
the chord, or along the middle; the best at the middle of the interval is kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from auditor.methods.robustness.graph import Node
from auditor.methods.robustness.layer_error import DOUBLE, Precision, layer_error
from auditor.methods.robustness.linear_bounds.curvature import Shape, bending
from auditor.methods.robustness.rounding import UNIT

UNIFORM = 12
"""Pieces of equal width that a smooth function's interval is cut into."""

MESH = (0.0, *(sign * each for each in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0) for sign in (-1, 1)))
"""Further points, where they lie inside."""

TINY = 2.0**-960


class Lines(NamedTuple):
    """lower_slope·x + lower_offset ≤ φ(x) ≤ upper_slope·x + upper_offset on the interval; each [rows, *shape]."""

    lower_slope: Tensor
    lower_offset: Tensor
    upper_slope: Tensor
    upper_offset: Tensor

    def mass(self, magnitude: Tensor) -> Tensor:
        """Never below |slope|·m + |offset| of either line, for an input of at most this magnitude, rounding aside."""
        slope = torch.maximum(self.lower_slope.abs(), self.upper_slope.abs())
        return slope * magnitude + torch.maximum(self.lower_offset.abs(), self.upper_offset.abs())


class Graph(NamedTuple):
    """Points `x` [points, rows, *shape] of an activation's graph, ascending; a line above all `high`, or below all
    `low`, is above or below the function on the whole interval.
    """

    x: Tensor
    low: Tensor
    high: Tensor

    def upper_offset(self, slope: Tensor) -> Tensor:
        product = slope * self.x
        return (self.high - product + 4 * UNIT * (self.high.abs() + product.abs())).amax(0) + TINY

    def lower_offset(self, slope: Tensor) -> Tensor:
        product = slope * self.x
        return (self.low - product - 4 * UNIT * (self.low.abs() + product.abs())).amin(0) - TINY

    def range(self) -> tuple[Tensor, Tensor]:
        """Never above the least value on the interval, and never below the largest."""
        return self.low.amin(0), self.high.amax(0)

    def lower_slopes(self) -> tuple[Tensor, Tensor]:
        """Of the lines through the left end and through the right end that touch the graph from below elsewhere."""
        return _steepness(self.x, self.low, 0).amin(0), _steepness(self.x, self.low, -1).amax(0)

    def upper_slopes(self) -> tuple[Tensor, Tensor]:
        return _steepness(self.x, self.high, 0).amax(0), _steepness(self.x, self.high, -1).amin(0)

    def lines(self) -> Lines:
        chord = _slope(self.x[0], self.low[0], self.x[-1], self.low[-1])
        before, after = (len(self.x) - 1) // 2, len(self.x) // 2 + 1
        along = _slope(self.x[before], self.low[before], self.x[after], self.low[after])
        middle = self.x[0] / 2 + self.x[-1] / 2
        lower = _best([(slope, self.lower_offset(slope)) for slope in (chord, *self.lower_slopes(), along)], middle, 1)
        upper = _best([(slope, self.upper_offset(slope)) for slope in (chord, *self.upper_slopes(), along)], middle, -1)
        return Lines(*lower, *upper)


def _best(tried: list[tuple[Tensor, Tensor]], middle: Tensor, sign: int) -> tuple[Tensor, Tensor]:
    """The line that is highest (sign 1) or lowest (−1) at the middle."""
    slope, offset = tried[0]
    for other, shift in tried[1:]:
        better = sign * (other * middle + shift) > sign * (slope * middle + offset)
        slope, offset = torch.where(better, other, slope), torch.where(better, shift, offset)
    return slope, offset


def _slope(x0: Tensor, y0: Tensor, x1: Tensor, y1: Tensor) -> Tensor:
    """Of the line through two points; 1 where they are one, since any slope is sound."""
    width = x1 - x0
    found = (y1 - y0) / width
    return torch.where((width > 0) & found.isfinite(), found, 1.0)


def _steepness(x: Tensor, y: Tensor, place: int) -> Tensor:
    """Slopes from the point at `place`, the first or last, to every other one; from points at the same x that of the
    chord.
    """
    others = slice(1, None) if place == 0 else slice(None, -1)
    width = x[others] - x[place]
    found = (y[others] - y[place]) / width
    chord = _slope(x[0], y[0], x[-1], y[-1])
    return torch.where((width != 0) & found.isfinite(), found, chord)


def graph(node: Node, known: Shape, low: Tensor, high: Tensor, precision: Precision = DOUBLE) -> Graph:
    """Of an activation over the intervals [low, high], each [rows, *shape], as it is and as `precision` computes it.

    What torch computes for φ(x) errs by relative·(mass·|x| + constant), as `layer_error` says: in float64 for the
    points, in `precision` for the network. The error is convex in x, so what the points allow for covers what is
    between.
    """
    x = _points(known, low, high)
    values = torch.stack([_run(node.layer, each) for each in x])
    error = torch.full_like(x, precision.tiny)
    for each in (DOUBLE, precision):
        figures = layer_error(node, {}, each)
        error = error + figures.relative * (figures.mass * x.abs() + figures.constant) * (1 + 1e-9)
    lower, upper = values - error, values + error
    if known.curvature:
        width = x.diff(dim=0)
        bend = bending(known, x[:-1], x[1:]) * width * width / 8 * (1 + 1e-9) + TINY
        none = torch.zeros_like(bend[:1])
        sag = torch.maximum(torch.cat((none, bend)), torch.cat((bend, none)))
        lower, upper = lower - sag, upper + sag
    slack = 4 * UNIT * values.abs()
    return Graph(x, lower - slack, upper + slack)


def _points(known: Shape, low: Tensor, high: Tensor) -> Tensor:
    inner = [torch.full_like(low, kink) for kink in known.kinks]
    if known.curvature:
        inner += [torch.full_like(low, each) for each in MESH]
        inner += [low + (high - low) * (step / UNIFORM) for step in range(1, UNIFORM)]
    points = torch.stack([low, *(torch.minimum(torch.maximum(each, low), high) for each in inner), high])
    return points.sort(dim=0).values if len(inner) > 1 else points


def _run(layer: Any, values: Tensor) -> Tensor:
    return layer(values.clone() if getattr(layer, "inplace", False) else values)
