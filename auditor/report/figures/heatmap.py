"""Heat maps: a matrix with its numbers in the cells and groups of labels outlined."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from auditor.records.evidence import Heatmap
from auditor.report import words
from auditor.report.figures.canvas import Canvas
from auditor.report.typeface import width as text_width

MOST = 30
DEEPEST = 0.8
"""Opacity of the largest value’s cell: any deeper, and its number could not be read in both themes."""


def draw_heatmap(evidence: Heatmap, columns: Mapping[str, Sequence[Any]], *, id: str, title: str) -> Canvas:
    """The picture of `evidence`, rows and columns in the order of the file."""
    all_rows = list(dict.fromkeys(str(name) for name in columns[evidence.row]))
    all_across = list(dict.fromkeys(str(name) for name in columns[evidence.column]))
    rows, across = all_rows[:MOST], all_across[:MOST]
    cells = {
        (str(row), str(column)): float(value)
        for row, column, value in zip(
            columns[evidence.row], columns[evidence.column], columns[evidence.value], strict=True
        )
        if value is not None and math.isfinite(value)
    }
    if not rows:
        return Canvas(316, 4, title, id=id, kind="plot heat")
    largest = 1.0 if evidence.percent else max((abs(value) for value in cells.values()), default=1.0) or 1.0
    width = 657.0 if evidence.wide else 400.0
    left = min(max(text_width(name, 9.5) for name in rows) + 8, width * 0.4) + (14 if evidence.row_label else 0)
    size = min((width - left - 2) / len(across), 30.0)
    head = min(max(text_width(name, 9.5) for name in across) * 0.98 + 8, 130.0)
    top, bottom = head, head + size * len(rows)
    canvas = Canvas(width, bottom + (20 if evidence.column_label else 4), title, id=id, kind="plot heat")
    for k, name in enumerate(across):
        middle = left + size * (k + 0.5) + 3.2
        canvas.text(middle, top - 6, name, size=9.5, fill="ink", rotate=-90)
    for k, name in enumerate(rows):
        canvas.text(left - 6, top + size * (k + 0.5) + 3.3, name, size=9.5, fill="ink", anchor="end")
    for i, row in enumerate(rows):
        for j, column in enumerate(across):
            x, y = left + size * j, top + size * i
            canvas.rect(x + 0.4, y + 0.4, size - 0.8, size - 0.8, "wash")
            value = cells.get((row, column))
            if value is None or value == 0:
                continue
            depth = min(abs(value) / largest, 1.0)
            canvas.rect(x + 0.4, y + 0.4, size - 0.8, size - 0.8, "heat", opacity=0.06 + (DEEPEST - 0.06) * depth)
            text = _cell(value, evidence.percent)
            if text_width(text, 9.0) <= size - 2:
                canvas.text(x + size / 2, y + size / 2 + 3.2, text, size=9.0, anchor="middle", fill="ink")
    _outline(canvas, evidence, rows, across, left, top, size)
    if len(all_rows) > MOST or len(all_across) > MOST:
        canvas.height += 14
        told = f"{len(all_rows)} × {len(all_across)} cells are in the data file; drawn: {len(rows)} × {len(across)}"
        canvas.text(left, canvas.height - 3, told, size=9.5)
    if evidence.column_label:
        canvas.text(left, bottom + 14, f"{evidence.column_label} →", size=9.75)
    if evidence.row_label:
        canvas.text(10, bottom, f"{evidence.row_label} →", size=9.75, rotate=-90)
    return canvas


def _cell(value: float, percent: bool) -> str:
    if not percent:
        return words.number(value)
    shown = round(100 * value)
    return "<1" if shown == 0 else str(shown)


def _outline(
    canvas: Canvas, evidence: Heatmap, rows: Sequence[str], columns: Sequence[str], left: float, top: float, size: float
) -> None:
    """Lines between the cells whose two labels share a group and those whose do not."""
    groups = [frozenset(group) for group in evidence.outlined]

    def inside(i: int, j: int) -> bool:
        if not (0 <= i < len(rows) and 0 <= j < len(columns)):
            return False
        return any(rows[i] in group and columns[j] in group for group in groups)

    lines = []
    for i in range(len(rows)):
        for j in range(len(columns)):
            if not inside(i, j):
                continue
            x, y, far, low = left + size * j, top + size * i, left + size * (j + 1), top + size * (i + 1)
            for (di, dj), (a, b) in {
                (-1, 0): ((x, y), (far, y)), (1, 0): ((x, low), (far, low)),
                (0, -1): ((x, y), (x, low)), (0, 1): ((far, y), (far, low)),
            }.items():  # fmt: skip
                if not inside(i + di, j + dj):
                    lines.append(f"M{a[0]:.2f} {a[1]:.2f}L{b[0]:.2f} {b[1]:.2f}")
    if lines:
        canvas.path("".join(lines), stroke="ink", width=1.4)
