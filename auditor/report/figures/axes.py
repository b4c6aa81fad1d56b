"""Scales, ticks and the frame of a plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.records.evidence import Axis
from auditor.report import words
from auditor.report.bar import nice
from auditor.report.figures.canvas import Canvas
from auditor.report.typeface import width as text_width

TICK = 9.5
LABEL = 9.75
DECADES = 1e-12
"""The lowest end of a logarithmic axis relative to its highest; what is lower is drawn at the edge."""


@dataclass(frozen=True)
class Scale:
    """From data to pixels along one axis, linear or logarithmic; what lies outside is drawn at the edge."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        value = min(max(value, self.low), self.high) if not math.isnan(value) else self.low
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        slack = 1e-9 * abs(self.high - self.low)
        return self.low - slack <= value <= self.high + slack


def ends(axis: Axis, values: Sequence[float], *, zero: bool = False) -> tuple[float, float]:
    """The ends of an axis: as declared, otherwise round numbers around the finite `values` (with `zero` among them)."""
    finite = [float(value) for value in values if math.isfinite(value) and (axis.scale == "linear" or value > 0)]
    if not finite:
        finite = [0.1, 1.0] if axis.scale == "log" else [0.0, 1.0]
    low, high = min(finite), max(finite)
    if axis.scale == "log":
        low = axis.low if axis.low is not None and axis.low > 0 else low
        high = axis.high if axis.high is not None and axis.high > 0 else high
        low = max(low, high * DECADES)
        return (low, high) if high > low else (low / 2, low * 2)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    span = high - low or abs(high) or 1.0
    step = nice(span / 5)
    low = axis.low if axis.low is not None and math.isfinite(axis.low) else math.floor(low / step + 1e-9) * step
    high = axis.high if axis.high is not None and math.isfinite(axis.high) else math.ceil(high / step - 1e-9) * step
    return (low, high) if high > low else (low, low + step)


def ticks(low: float, high: float, *, log: bool, room: int) -> list[float]:
    """At most about `room` round numbers in [low, high]."""
    if log:
        decades = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
        fine = [factor * decade for decade in decades for factor in (1, 3)]
        inside = [tick for tick in fine if low * 0.999 <= tick <= high * 1.001]
        if len(inside) > room + 1:
            inside = [tick for tick in decades if low * 0.999 <= tick <= high * 1.001]
        return inside or [low, high]
    step = nice((high - low) / max(room, 1))
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def tick_labels(values: Sequence[float], axis: Axis) -> list[str]:
    """One number of decimals for all, so that they read as a scale; logarithmic ones each as short as it goes."""
    if axis.percent:
        digits = max((_decimals(100 * value) for value in values), default=0)
        return [f"{100 * value:.{digits}f}".replace("-", words.MINUS) + f"{words.THIN}%" for value in values]
    if axis.scale == "log":
        return [f"{value:g}".replace("e-0", "e-").replace("-", words.MINUS) for value in values]
    digits = max((_decimals(value) for value in values), default=0)
    return [("0" if value == 0 else f"{value:,.{digits}f}").replace("-", words.MINUS) for value in values]


def _decimals(value: float) -> int:
    text = f"{abs(value):.6f}".rstrip("0")
    return len(text.partition(".")[2])


@dataclass(frozen=True)
class Frame:
    """The box a plot is drawn in, with its two scales."""

    x: Scale
    y: Scale

    @property
    def left(self) -> float:
        return self.x.start

    @property
    def right(self) -> float:
        return self.x.end

    @property
    def top(self) -> float:
        return self.y.end

    @property
    def bottom(self) -> float:
        return self.y.start


def make_frame(
    x: Axis,
    y: Axis,
    x_ends: tuple[float, float],
    y_ends: tuple[float, float],
    *,
    width: float,
    height: float,
    top: float,
) -> Frame:
    """A frame that leaves room for the tick labels of both axes."""
    y_scale = Scale(*y_ends, height - 36, top, y.scale == "log")
    labels = tick_labels(ticks(*y_ends, log=y_scale.log, room=4), y)
    left = 8 + max((text_width(label, TICK) for label in labels), default=0) + (15 if y.label else 0)
    return Frame(Scale(*x_ends, left, width - 8, x.scale == "log"), y_scale)


def draw_axes(canvas: Canvas, frame: Frame, x: Axis, y: Axis, *, grid: bool = True) -> None:
    """Grid lines, ticks with their numbers, and what the axes measure."""
    down = ticks(frame.y.low, frame.y.high, log=frame.y.log, room=4)
    across = ticks(frame.x.low, frame.x.high, log=frame.x.log, room=max(3, int((frame.right - frame.left) / 52)))
    for value, label in zip(down, tick_labels(down, y), strict=True):
        at = frame.y(value)
        if grid and at < frame.bottom - 1:
            canvas.line((frame.left, at), (frame.right, at), "rule2", 0.75)
        canvas.text(frame.left - 5, at + 3.3, label, size=TICK, fill="ink3", anchor="end")
    for value, label in zip(across, tick_labels(across, x), strict=True):
        at = frame.x(value)
        if grid and x.scale == "log" and at > frame.left + 1:
            canvas.line((at, frame.top), (at, frame.bottom), "rule2", 0.75)
        canvas.line((at, frame.bottom), (at, frame.bottom + 3.5), "ink3", 0.75)
        half = text_width(label, TICK) / 2
        middle = min(max(at, half), canvas.width - half)
        canvas.text(middle, frame.bottom + 14, label, size=TICK, fill="ink3", anchor="middle")
    canvas.line((frame.left, frame.bottom), (frame.right, frame.bottom), "ink3", 1)
    if x.label:
        canvas.text((frame.left + frame.right) / 2, frame.bottom + 30, x.label, size=LABEL, anchor="middle")
    if y.label:
        middle = (frame.top + frame.bottom) / 2
        canvas.text(9, middle, y.label, size=LABEL, anchor="middle", rotate=-90)
