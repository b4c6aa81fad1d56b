"""Bars and dumbbells: one row a label, sorted by the check, numbers at the right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from auditor.records.evidence import Axis, Bars, Dumbbell, Mark
from auditor.report import words
from auditor.report.figures.axes import TICK, Scale, ends, tick_labels, ticks
from auditor.report.figures.canvas import Canvas
from auditor.report.typeface import width as text_width

Columns = Mapping[str, Sequence[Any]]
ROW = 15.0
MOST = 40
"""Rows that are drawn; the picture says how many are not."""


def draw_bars(evidence: Bars, columns: Columns, *, id: str, title: str) -> Canvas:
    """The picture of `evidence`: bars from zero, or dots where the axis does not start there."""
    names = [str(name) for name in columns[evidence.label]][:MOST]
    values = [[_number(value) for value in columns[name]][:MOST] for name in evidence.values]
    totals = [sum(part for part in parts if math.isfinite(part)) for parts in zip(*values, strict=True)]
    more = [_number(v) for key in (evidence.low, evidence.high, evidence.tick) if key for v in columns[key][:MOST]]
    more += [mark.value for mark in evidence.marks if mark.axis == "x"]
    dots = len(values) == 1 and evidence.x.low not in (None, 0.0)
    low, high = ends(evidence.x, totals + more, zero=not dots)
    key = bool(evidence.names and len(evidence.values) > 1) or bool(evidence.tick and evidence.tick_name)
    width = 657.0 if evidence.wide else 316.0
    left, right = _margins(names, [words.number(value) for value in values[0]], width)
    top = 30.0 if any(mark.axis == "x" for mark in evidence.marks) else 18.0
    bottom = top + ROW * len(names)
    more_rows = len(columns[evidence.label]) - len(names)
    foot = 6 + (14 if evidence.x.label else 0) + (16 if key else 0) + (14 if more_rows else 0)
    canvas = Canvas(width, bottom + foot, title, id=id, kind="plot wide" if evidence.wide else "plot")
    x = Scale(low, high, left, width - right)
    _top_axis(canvas, x, evidence.x, top, bottom)
    zero = x(max(low, 0.0) if not dots else low)
    for row, name in enumerate(names):
        middle = top + ROW * (row + 0.5)
        canvas.text(left - 7, middle + 3.3, _shortened(name, left - 10), size=9.75, fill="ink", anchor="end")
        first = values[0][row]
        if math.isfinite(first):
            canvas.text(width - 1, middle + 3.3, words.number(first), size=9.75, fill="ink", anchor="end", weight=500)
        if dots:
            _dot(canvas, x, evidence, columns, row, first, middle)
            continue
        start = max(low, 0.0)
        for place, column in enumerate(values):
            part = column[row]
            if not math.isfinite(part):
                continue
            a, b = x(start), x(start + part)
            _bar(canvas, min(a, b), middle - 4.5, abs(b - a), 9.0, place)
            start += part
        if evidence.low and evidence.high:
            _whisker(canvas, x, columns, evidence.low, evidence.high, row, middle)
        if evidence.tick and math.isfinite(at := _number(columns[evidence.tick][row])):
            canvas.line((x(at), middle - 6), (x(at), middle + 6), "ink", 1.5)
    if not dots:
        canvas.line((zero, top), (zero, bottom), "ink3", 1)
    _thresholds(canvas, x, evidence.marks, top, bottom)
    y = bottom + 4
    if evidence.x.label:
        y += 12
        canvas.text((left + width - right) / 2, y, evidence.x.label, size=9.75, anchor="middle")
    if key:
        y += 15
        _key(canvas, evidence, left, y)
    if more_rows:
        canvas.text(left, y + 14, not_drawn(more_rows), size=9.5)
    return canvas


def draw_dumbbell(evidence: Dumbbell, columns: Columns, *, id: str, title: str) -> Canvas:
    """From a hollow dot to a filled one, the interval of the filled one as a line, the change in numbers."""
    names = [str(name) for name in columns[evidence.label]][:MOST]
    start = [_number(value) for value in columns[evidence.start]][:MOST]
    end = [_number(value) for value in columns[evidence.end]][:MOST]
    more = [_number(value) for key in (evidence.low, evidence.high) if key for value in columns[key][:MOST]]
    width = 657.0
    changes = [words.change(b - a) for a, b in zip(start, end, strict=True)]
    left, right = _margins(names, changes, width)
    right += 12
    low, high = ends(evidence.x, start + end + more)
    pad = (high - low) * 0.03 if evidence.x.low is None else 0.0
    x = Scale(low - pad, high + pad, left, width - right)
    top, pitch = 34.0, 17.0
    bottom = top + pitch * len(names)
    more_rows = len(columns[evidence.label]) - len(names)
    foot = (22 if evidence.x.label else 8) + (14 if more_rows else 0)
    canvas = Canvas(width, bottom + foot, title, id=id, kind="plot wide")
    middle_key = (left + width - right) / 2
    key = f"{evidence.start_name}  →  {evidence.end_name}"
    half = text_width(key, 9.75, 500) / 2
    canvas.circle((middle_key - half - 9, 7.5), 3.4, "paper", stroke="ink", width=1.4)
    canvas.text(middle_key, 11, key, size=9.75, weight=500, anchor="middle")
    canvas.circle((middle_key + half + 9, 7.5), 4.0, "data")
    canvas.text(width - 1, 11, "change", size=9.75, anchor="end")
    _top_axis(canvas, x, evidence.x, top, bottom)
    for row, name in enumerate(names):
        middle = top + pitch * (row + 0.5)
        canvas.text(left - 7, middle + 3.3, _shortened(name, left - 10), size=9.75, fill="ink", anchor="end")
        canvas.text(width - 1, middle + 3.3, changes[row], size=9.75, fill="ink", anchor="end", weight=500)
        if not (math.isfinite(start[row]) and math.isfinite(end[row])):
            continue
        if evidence.low and evidence.high:
            _whisker(canvas, x, columns, evidence.low, evidence.high, row, middle, colour="data2", width=4.0)
        canvas.line((x(start[row]), middle), (x(end[row]), middle), "data", 1.6)
        canvas.circle((x(end[row]), middle), 4.0, "data")
        canvas.circle((x(start[row]), middle), 3.4, "paper", stroke="ink", width=1.4)
    if evidence.x.label:
        canvas.text(middle_key, bottom + 16, evidence.x.label, size=9.75, anchor="middle")
    if more_rows:
        canvas.text(left, canvas.height - 3, not_drawn(more_rows), size=9.5)
    return canvas


def not_drawn(rows: int) -> str:
    return f"{rows:,} more {'row is' if rows == 1 else 'rows are'} in the data file"


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _margins(names: Sequence[str], numbers: Sequence[str], width: float) -> tuple[float, float]:
    left = max((text_width(name, 9.75) for name in names), default=0) + 9
    right = max((text_width(text, 9.75, 600) for text in numbers), default=0) + 10
    return min(left, width * 0.42), right


def _shortened(name: str, room: float) -> str:
    """`name`, cut where it would run out of `room` px."""
    if text_width(name, 9.75) <= room + 1:
        return name
    while name and text_width(name + "…", 9.75) > room:
        name = name[:-1]
    return name + "…"


def _top_axis(canvas: Canvas, x: Scale, axis: Axis, top: float, bottom: float) -> None:
    across = ticks(x.low, x.high, log=False, room=max(2, int((x.end - x.start) / 46)))
    for value, label in zip(across, tick_labels(across, axis), strict=True):
        at = x(value)
        canvas.line((at, top), (at, bottom), "rule", 0.75)
        canvas.text(min(max(at, 8), canvas.width - 8), top - 5, label, size=TICK, fill="ink3", anchor="middle")


def _thresholds(canvas: Canvas, x: Scale, marks: Sequence[Mark], top: float, bottom: float) -> None:
    for mark in marks:
        if mark.axis != "x" or not x.holds(mark.value):
            continue
        at, strong = x(mark.value), mark.kind == "threshold"
        canvas.line(
            (at, top - 16),
            (at, bottom),
            "ink" if strong else "ink2",
            1.75 if strong else 1,
            dash="" if strong else "2.5 2.5",
        )
        room = at + 4 + text_width(mark.label, 10, 600) < canvas.width
        canvas.text(
            at + 4 if room else at - 4, top - 18, mark.label, size=10, fill="ink",
            weight=600 if strong else 400, anchor="start" if room else "end",
        )  # fmt: skip


def _bar(canvas: Canvas, x: float, y: float, width: float, height: float, place: int) -> None:
    """Solid for the first part, grey hatching for the second, orange hatching for the third."""
    if place == 0:
        canvas.rect(x, y, width, height, "data")
        return
    colour = "hatch" if place == 1 else "alert"
    canvas.hatch_rect(x, y, width, height, colour, gap=3.2)
    canvas.rect(x, y, width, height, None, stroke=colour, stroke_width=0.8)


def draw_swatch(canvas: Canvas, x: float, y: float, place: int) -> None:
    """The sample of a part's filling in a key."""
    _bar(canvas, x, y, 9, 8, place)


def _dot(canvas: Canvas, x: Scale, evidence: Bars, columns: Columns, row: int, value: float, middle: float) -> None:
    if not math.isfinite(value):
        return
    if evidence.low and evidence.high:
        _whisker(canvas, x, columns, evidence.low, evidence.high, row, middle, colour="data")
    canvas.circle((x(value), middle), 3.6, "data")


def _whisker(
    canvas: Canvas, x: Scale, columns: Columns, low: str, high: str, row: int, middle: float, *, colour: str = "ink",
    width: float = 1.4
) -> None:  # fmt: skip
    a, b = _number(columns[low][row]), _number(columns[high][row])
    if math.isfinite(a) and math.isfinite(b):
        canvas.line((x(a), middle), (x(b), middle), colour, width)


def _key(canvas: Canvas, evidence: Bars, left: float, y: float) -> None:
    x = left
    for place, name in enumerate(evidence.names if len(evidence.values) > 1 else ()):
        draw_swatch(canvas, x, y - 7.5, place)
        canvas.text(x + 13, y, name, size=9.5)
        x += 13 + text_width(name, 9.5) + 14
    if evidence.tick and evidence.tick_name:
        canvas.line((x + 1, y - 9), (x + 1, y + 1.5), "ink", 1.5)
        canvas.text(x + 7, y, evidence.tick_name, size=9.5)
