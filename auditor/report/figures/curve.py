"""Curves: lines with bands, stacked areas, linear or logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from auditor.records.evidence import Curve, Series
from auditor.report.figures.axes import Frame, draw_axes, ends, make_frame
from auditor.report.figures.bars import draw_swatch
from auditor.report.figures.canvas import Canvas, Point
from auditor.report.figures.labels import Placer, box, draw_marks
from auditor.report.typeface import width as text_width

Columns = Mapping[str, Sequence[float]]
FITS = 3.0
"""How good a place must be for a name to stand inside its area, in px of air around it."""
LINES = {
    "data": ("data", 1.9, ""),
    "second": ("ink", 1.5, ""),
    "third": ("ink2", 1.25, "1.5 2"),
    "reference": ("ink3", 1, "5 3"),
}
TEXTS = {"data": ("data", 600), "second": ("ink", 500), "third": ("ink2", 400), "reference": ("ink2", 400)}


def draw_curve(evidence: Curve, columns: Columns, *, id: str, title: str, compact: bool = False) -> Canvas:
    """The picture of `evidence` from the columns of its file."""
    width = 657.0 if evidence.wide else 316.0
    square = evidence.diagonal is not None and not evidence.wide
    rows = _mark_rows(evidence)
    height = 276.0 if square else 172.0 if compact else 220.0
    xs = [x for series in evidence.series for x in columns[series.x]]
    ys = [
        y for series in evidence.series for name in (series.y, series.low, series.high) if name for y in columns[name]
    ]
    ys += [mark.value for mark in evidence.marks if mark.axis == "y"]
    if evidence.stacked:
        ys.append(0.0)
    frame = make_frame(
        evidence.x,
        evidence.y,
        ends(evidence.x, xs),
        ends(evidence.y, ys),
        width=width,
        height=height,
        top=10 + 13.0 * rows,
    )
    canvas = Canvas(width, height, title, id=id, kind="plot wide" if evidence.wide else "plot")
    placer = Placer(frame)
    lines = {series.y: _thinned(_points(frame, columns, series, evidence.step)) for series in evidence.series}
    for line in lines.values():
        placer.obstacles += _dense(line)
    if evidence.stacked:
        areas = evidence.model_copy(update={"series": tuple(s for s in evidence.series if s.style != "reference")})
        _draw_areas(canvas, frame, areas, lines)
        draw_axes(canvas, frame, evidence.x, evidence.y, grid=False)
        draw_marks(canvas, frame, evidence.marks, placer, on_area=True)
        _name_areas(canvas, frame, areas, lines, placer)
        _draw_limits(canvas, evidence, lines, placer)
        return canvas
    draw_axes(canvas, frame, evidence.x, evidence.y)
    if evidence.diagonal is not None:
        _draw_diagonal(canvas, frame, evidence.diagonal, placer)
    for series in evidence.series:
        _draw_band(canvas, frame, columns, series)
    for series in reversed(evidence.series):
        if lines[series.y]:
            colour, thick, dash = LINES[series.style]
            canvas.polyline(lines[series.y], colour, thick, dash=dash)
    draw_marks(canvas, frame, evidence.marks, placer)
    for series in evidence.series:
        if series.label and lines[series.y]:
            colour, weight = TEXTS[series.style]
            x, y, anchor = placer.along(_dense(lines[series.y]), series.label, 10, weight)
            canvas.text(x, y, series.label, size=10, fill=colour, anchor=anchor, weight=weight)
    return canvas


def _mark_rows(evidence: Curve) -> int:
    across = sum(mark.axis == "x" for mark in evidence.marks)
    return min(across, 2)


def _points(frame: Frame, columns: Columns, series: Series, step: bool) -> list[Point]:
    pairs = [
        (float(x), float(y))
        for x, y in zip(columns[series.x], columns[series.y], strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]
    if frame.x.log:
        pairs = [(max(x, frame.x.low), y) for x, y in pairs]
    if frame.y.log:
        pairs = [(x, max(y, frame.y.low)) for x, y in pairs]
    placed = [(frame.x(x), frame.y(y)) for x, y in pairs]
    if not step:
        return placed
    stairs = placed[:1]
    for (_, before), (x, y) in pairwise(placed):
        stairs += [(x, before), (x, y)]
    return stairs


def _thinned(points: list[Point]) -> list[Point]:
    """At most one point a quarter of a pixel: what the eye can tell apart."""
    kept: list[Point] = points[:1]
    for point in points[1:-1]:
        if abs(point[0] - kept[-1][0]) + abs(point[1] - kept[-1][1]) >= 0.5:
            kept.append(point)
    return kept + points[-1:] if len(points) > 1 else kept


def _dense(line: list[Point]) -> list[Point]:
    """Points along `line` no further than 4 px apart."""
    dense = line[:1]
    for (x0, y0), (x1, y1) in pairwise(line):
        steps = max(1, math.ceil(math.hypot(x1 - x0, y1 - y0) / 4))
        dense += [(x0 + (x1 - x0) * k / steps, y0 + (y1 - y0) * k / steps) for k in range(1, steps + 1)]
    return dense


def _draw_band(canvas: Canvas, frame: Frame, columns: Columns, series: Series) -> None:
    if series.low is None or series.high is None:
        return
    lower = _points(frame, columns, series.model_copy(update={"y": series.low}), False)
    upper = _points(frame, columns, series.model_copy(update={"y": series.high}), False)
    area = "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in [*_thinned(upper), *reversed(_thinned(lower))]) + "Z"
    canvas.path(area, fill="data3" if series.style == "data" else "rule2", stroke=None)


def _draw_diagonal(canvas: Canvas, frame: Frame, label: str, placer: Placer) -> None:
    low, high = max(frame.x.low, frame.y.low), min(frame.x.high, frame.y.high)
    if low >= high:
        return
    a, b = (frame.x(low), frame.y(low)), (frame.x(high), frame.y(high))
    canvas.line(a, b, "ink3", 0.9)
    line = _dense([a, b])
    placer.obstacles += line
    if label:
        x, y, anchor = placer.along(line, label, 9.5, 400)
        canvas.text(x, y, label, size=9.5, fill="ink2", anchor=anchor)


def _draw_areas(canvas: Canvas, frame: Frame, evidence: Curve, lines: Mapping[str, list[Point]]) -> None:
    below: list[Point] = [(frame.left, frame.bottom), (frame.right, frame.bottom)]
    for series in evidence.series:
        line = lines[series.y]
        if not line:
            continue
        area = [*line, *reversed(below)]
        if series.style == "data":
            canvas.path("M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in area) + "Z", fill="data", stroke=None)
        elif series.style == "second":
            canvas.hatch_area(area, "hatch")
        elif series.style == "third":
            canvas.hatch_area(area, "alert")
        canvas.polyline(line, "ink" if series.style != "data" else "data", 1.25)
        below = line


def _draw_limits(canvas: Canvas, evidence: Curve, lines: Mapping[str, list[Point]], placer: Placer) -> None:
    """Reference lines over the areas, each with its name along it."""
    colour, thick, dash = LINES["reference"]
    for series in evidence.series:
        if series.style == "reference" and lines[series.y]:
            canvas.polyline(lines[series.y], colour, thick, dash=dash)
            x, y, anchor = placer.along(_dense(lines[series.y]), series.label, 9.5, 400)
            canvas.text(x, y, series.label, size=9.5, fill="ink2", anchor=anchor, backing=True)


def _name_areas(
    canvas: Canvas, frame: Frame, evidence: Curve, lines: Mapping[str, list[Point]], placer: Placer
) -> None:
    """Each name inside its own area, where that is tallest; all of them in a key below where one does not fit."""
    below: list[Point] = [(frame.left, frame.bottom), (frame.right, frame.bottom)]
    named: list[tuple[Series, tuple[float, float, float]]] = []
    for series in evidence.series:
        line = lines[series.y]
        if not line:
            continue
        best = _roomiest(frame, line, below, series.label, placer)
        placer.taken.append(box(best[1], best[2] + 3.5, series.label, 10, 600, "middle"))
        named.append((series, best))
        below = line
    if any(best[0] < FITS for _, best in named):
        x, y = frame.left, canvas.height + 8
        canvas.height += 16
        for series, _ in named:
            draw_swatch(canvas, x, y - 7.5, {"data": 0, "second": 1, "third": 2}.get(series.style, 1))
            canvas.text(x + 13, y, series.label, size=9.5)
            x += 27 + text_width(series.label, 9.5)
        return
    for series, (_, x, middle) in named:
        filled = series.style == "data"
        canvas.text(
            x, middle + 3.5, series.label, size=10, weight=600, anchor="middle",
            fill="paper" if filled else "ink", backing=not filled,
        )  # fmt: skip


def _roomiest(
    frame: Frame, line: Sequence[Point], below: Sequence[Point], label: str, placer: Placer
) -> tuple[float, float, float]:
    """How good the best place between two lines is for `label`, and its middle."""
    wide = text_width(label, 10, 600)
    best = (-1e9, (frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2)
    for k in range(33):
        x = frame.left + wide / 2 + 5 + k / 32 * (frame.right - frame.left - wide - 10)
        edges = (x - wide / 2 - 8, x, x + wide / 2 + 8)
        top, bottom = max(_at(line, edge) for edge in edges), min(_at(below, edge) for edge in edges)
        for share in (0.5, 0.35, 0.65, 0.2, 0.8):
            middle = top + (bottom - top) * share
            room = min(middle - top, bottom - middle, 16.0)
            score = room - 3 * placer.cost(box(x, middle + 3.5, label, 10, 600, "middle"))
            score -= abs(k - 16) * 0.05 + abs(share - 0.5) * 8 + abs(middle - (frame.top + frame.bottom) / 2) * 0.05
            if score > best[0] + 1e-9:
                best = (score, x, middle)
    return best


def _at(line: Sequence[Point], x: float) -> float:
    """The line's height at `x`, by linear interpolation."""
    for (x0, y0), (x1, y1) in pairwise(line):
        if x0 <= x <= x1 and x1 > x0:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return line[-1][1] if x > line[-1][0] else line[0][1]
