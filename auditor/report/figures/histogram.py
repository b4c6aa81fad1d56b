"""Histograms: counts of one column, the side that a threshold rules out in hatching, or groups as outlines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from auditor.records.evidence import Axis, Histogram
from auditor.report.bar import nice
from auditor.report.figures.axes import Frame, draw_axes, ends, make_frame
from auditor.report.figures.canvas import Canvas, Point
from auditor.report.figures.labels import Placer, draw_marks
from auditor.report.typeface import width as text_width


def draw_histogram(
    evidence: Histogram, columns: Mapping[str, Sequence[Any]], *, id: str, title: str, compact: bool = False
) -> Canvas:
    """The picture of `evidence` from the columns of its file; values that are not finite are left out."""
    values = [float(value) for value in columns[evidence.value] if value is not None]
    groups = columns[evidence.group] if evidence.group else None
    kept = [k for k, value in enumerate(values) if math.isfinite(value)]
    threshold = next((mark.value for mark in evidence.marks if mark.axis == "x" and mark.kind == "threshold"), None)
    spread = [values[k] for k in kept] + [mark.value for mark in evidence.marks if mark.axis == "x"]
    edges = _edges(*ends(evidence.x, spread), evidence.bins, threshold)
    counts = {"": _count([values[k] for k in kept], edges)}
    if groups is not None:
        names = list(dict.fromkeys(str(groups[k]) for k in kept))
        counts = {name: _count([values[k] for k in kept if str(groups[k]) == name], edges) for name in names}
    width, height = (657.0, 210.0) if evidence.wide else (316.0, 176.0 if compact else 212.0)
    split = evidence.hatch is not None and threshold is not None and groups is None
    rows = min(2, sum(mark.axis == "x" for mark in evidence.marks))
    shares = groups is not None
    tallest = max((max(c) / (max(sum(c), 1) if shares else 1) for c in counts.values()), default=1) or 1
    y = Axis(label="share of each group" if shares else "", low=0.0, percent=shares)
    top = 8 + 13.0 * rows + (14 if split else 0)
    frame = make_frame(evidence.x, y, (edges[0], edges[-1]), (0.0, tallest * 1.02), width=width, height=height, top=top)
    canvas = Canvas(width, height, title, id=id, kind="plot wide" if evidence.wide else "plot")
    placer = Placer(frame)
    draw_axes(canvas, frame, evidence.x, y)
    if shares:
        _draw_groups(canvas, frame, counts, edges, placer)
    else:
        _draw_bars(canvas, frame, counts[""], edges, evidence.hatch, threshold)
        canvas.line((frame.left, frame.bottom), (frame.right, frame.bottom), "ink3", 1)
    shifted = Frame(
        frame.x, type(frame.y)(frame.y.low, frame.y.high, frame.y.start, frame.y.end - (14 if split else 0))
    )
    draw_marks(canvas, shifted if split else frame, evidence.marks, placer)
    if split and threshold is not None and evidence.hatch is not None:
        _name_sides(canvas, frame, [values[k] for k in kept], threshold, evidence.hatch)
    return canvas


def _edges(low: float, high: float, bins: int, threshold: float | None) -> list[float]:
    """Equal bins on round numbers, with the threshold between two of them, also where no value lies beyond it."""
    if threshold is not None and low < threshold <= high:
        high = max(high, threshold + (threshold - low) / bins)
    if threshold is not None and low < threshold < high:
        step = (threshold - low) / max(1, round((threshold - low) / (high - low) * bins))
        if step < (high - low) / bins / 3:
            step = (high - low) / bins
        return [low + k * step for k in range(math.ceil((high - low) / step - 1e-9) + 1)]
    step = nice((high - low) / bins)
    start = math.floor(low / step + 1e-9) * step
    return [start + k * step for k in range(math.ceil((high - start) / step - 1e-9) + 1)]


def _count(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    """Counts a bin; a bin holds its left edge, the last one both."""
    counts = [0] * (len(edges) - 1)
    step = edges[1] - edges[0]
    for value in values:
        place = math.floor((value - edges[0]) / step + 1e-9)
        counts[min(max(place, 0), len(counts) - 1)] += 1
    return counts


def _draw_bars(
    canvas: Canvas,
    frame: Frame,
    counts: Sequence[int],
    edges: Sequence[float],
    hatch: str | None,
    threshold: float | None,
) -> None:
    gap = 0.8 if (frame.right - frame.left) / len(counts) > 4 else 0.0
    for count, low, high in zip(counts, edges, edges[1:], strict=False):
        if not count:
            continue
        x, right, top = frame.x(low) + gap / 2, frame.x(high) - gap / 2, frame.y(count)
        middle = (low + high) / 2
        out = threshold is not None and (
            (hatch == "below" and middle < threshold) or (hatch == "above" and middle > threshold)
        )
        if out:
            canvas.hatch_rect(x, top, right - x, frame.bottom - top, "alert", gap=3.2)
            canvas.rect(x, top, right - x, frame.bottom - top, None, stroke="alert", stroke_width=0.8)
        else:
            canvas.rect(x, top, right - x, frame.bottom - top, "data")


def _name_sides(canvas: Canvas, frame: Frame, values: Sequence[float], threshold: float, hatch: str) -> None:
    """How many lie on each side, above the bars and beside the threshold's line."""
    below = (
        sum(value < threshold for value in values) if hatch == "below" else sum(value <= threshold for value in values)
    )
    above, at, y = len(values) - below, frame.x(threshold), frame.top - 4
    out = ("below", "within") if hatch == "below" else ("within", "above")
    left, right = (f"{count:,} {word}" for count, word in zip((below, above), out, strict=True))
    colours = ("alert", "data") if hatch == "below" else ("data", "alert")
    wide_left, wide_right = text_width(left, 10, 600), text_width(right, 10, 600)
    if at - 6 - wide_left < 0:
        starts = (at + 6, at + 16 + wide_left)
    elif at + 6 + wide_right > canvas.width:
        starts = (at - 16 - wide_right - wide_left, at - 6 - wide_right)
    else:
        starts = (at - 6 - wide_left, at + 6)
    for x, text, colour in zip(starts, (left, right), colours, strict=True):
        canvas.text(x, y, text, size=10, fill=colour, weight=600, backing=True)


def _draw_groups(
    canvas: Canvas, frame: Frame, counts: Mapping[str, Sequence[int]], edges: Sequence[float], placer: Placer
) -> None:
    styles = [("data", "data3", ""), ("ink", None, ""), ("ink2", None, "2 2")]
    outlines: list[tuple[str, str, list[Point]]] = []
    for (name, group), (stroke, fill, dash) in zip(counts.items(), styles, strict=False):
        total = max(sum(group), 1)
        line: list[Point] = [(frame.x(edges[0]), frame.bottom)]
        for count, low, high in zip(group, edges, edges[1:], strict=False):
            line += [(frame.x(low), frame.y(count / total)), (frame.x(high), frame.y(count / total))]
        line.append((frame.x(edges[-1]), frame.bottom))
        d = "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in line)
        canvas.path(d, fill=fill, stroke=stroke, width=1.4, dash=dash)
        placer.obstacles += line
        outlines.append((name, stroke, line))
    for name, stroke, line in outlines:
        inner = [point for point in line if point[1] < frame.bottom - 6] or line
        x, y, anchor = placer.along(inner, name, 10, 600 if stroke == "data" else 500)
        canvas.text(x, y, name, size=10, fill=stroke, weight=600 if stroke == "data" else 500, anchor=anchor)
