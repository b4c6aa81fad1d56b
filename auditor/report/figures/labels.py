"""Labels on the data: each is put where it covers least of the lines, the marks and the other labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from auditor.records.evidence import Mark
from auditor.report.figures.axes import Frame
from auditor.report.figures.canvas import Anchor, Canvas, Point
from auditor.report.typeface import width as text_width

Box = tuple[float, float, float, float]
BESIDE: tuple[tuple[float, float, Anchor], ...] = (
    (0, -6, "middle"), (0, 13, "middle"), (7, -4, "start"), (-7, -4, "end"), (7, 11, "start"), (-7, 11, "end"),
    (0, -10, "middle"), (0, 18, "middle"),
)  # fmt: skip
"""Where a label may stand relative to a point of its line, the best first."""


def box(x: float, y: float, text: str, size: float, weight: int, anchor: Anchor) -> Box:
    wide = text_width(text, size, weight)
    left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
    return (left, y - size * 0.85, left + wide, y + size * 0.28)


@dataclass
class Placer:
    """What is already drawn: points of lines (obstacles) and boxes of text."""

    frame: Frame
    obstacles: list[Point] = field(default_factory=list)
    taken: list[Box] = field(default_factory=list)

    def cost(self, candidate: Box) -> float:
        left, top, right, bottom = candidate
        outside = max(0.0, self.frame.left - left) + max(0.0, right - self.frame.right)
        outside += max(0.0, self.frame.top - 2 - top) + max(0.0, bottom - self.frame.bottom)
        hits = sum(left - 2 < x < right + 2 and top - 2 < y < bottom + 2 for x, y in self.obstacles)
        overlaps = sum(overlap(candidate, other) for other in self.taken)
        return outside * 30 + hits + overlaps * 10

    def along(self, line: Sequence[Point], text: str, size: float, weight: int) -> tuple[float, float, Anchor]:
        """The best place beside `line` for `text`."""
        best = float("inf")
        choice: tuple[float, float, Anchor] = (line[-1][0], line[-1][1], "end")
        for step in range(4, 96, 3):
            x, y = line[int(step / 100 * (len(line) - 1))]
            for dx, dy, anchor in BESIDE:
                cost = self.cost(box(x + dx, y + dy, text, size, weight, anchor)) + abs(step - 65) * 0.02
                if cost < best - 1e-9:
                    best = cost
                    choice = (x + dx, y + dy, anchor)
        self.taken.append(box(*choice[:2], text, size, weight, choice[2]))
        return choice


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] + 3 and other[0] < one[2] + 3 and one[1] < other[3] + 1 and other[1] < one[3] + 1


def draw_marks(canvas: Canvas, frame: Frame, marks: Sequence[Mark], placer: Placer, *, on_area: bool = False) -> None:
    """Lines across the plot with their labels at its edge: the threshold in ink, the observed in blue."""
    rows: list[list[Box]] = [[], []]
    for mark in sorted(marks, key=lambda m: (m.axis, {"threshold": 0, "observed": 1, "reference": 2}[m.kind])):
        strong = mark.kind != "reference"
        weight, colour = (
            (600 if strong else 400),
            {"threshold": "ink", "observed": "data", "reference": "ink2"}[mark.kind],
        )
        size = 10.0 if strong else 9.5
        style = {"threshold": ("ink", 1.75, ""), "observed": ("data", 1.75, ""), "reference": ("ink2", 1.0, "2.5 2.5")}[
            mark.kind
        ]
        scale = frame.x if mark.axis == "x" else frame.y
        if not scale.holds(mark.value):
            continue
        at = scale(mark.value)
        if mark.axis == "x":
            row, x, anchor = _beside(rows, frame, at, mark.label, size, weight)
            high = frame.top - 4 - 12 * row
            if mark.kind == "observed":
                canvas.line((at, high - 6), (at, frame.bottom), "paper", 3.5)
            canvas.line((at, high - 6), (at, frame.bottom), *style[:2], dash=style[2])
            canvas.text(x, high, mark.label, size=size, fill=colour, anchor=anchor, weight=weight)
            placer.obstacles += [(at, frame.top + k * (frame.bottom - frame.top) / 40) for k in range(41)]
        else:
            canvas.line((frame.left, at), (frame.right, at), *style[:2], dash=style[2])
            line = [(frame.left + k * (frame.right - frame.left) / 40, at) for k in range(41)]
            x, y, anchor = _along_edge(placer, frame, at, mark.label, size, weight)
            canvas.text(x, y, mark.label, size=size, fill=colour, anchor=anchor, weight=weight, backing=on_area)
            placer.obstacles += line


def _beside(
    rows: list[list[Box]], frame: Frame, at: float, text: str, size: float, weight: int
) -> tuple[int, float, Anchor]:
    """Row, place and anchor of an x mark's label above the plot, beside the mark's own line."""
    wide = text_width(text, size, weight)
    sides: list[tuple[float, Anchor]] = [(at + 4, "start"), (at - 4, "end")]
    if at + 4 + wide > frame.right + 8:
        sides.reverse()
    for row, taken in enumerate(rows):
        for x, anchor in sides:
            candidate = box(x, 0, text, size, weight, anchor)
            fits = candidate[0] >= 0 and candidate[2] <= frame.right + 8
            if fits and not any(overlap(candidate, other) for other in taken):
                taken.append((min(candidate[0], at - 2), candidate[1], max(candidate[2], at + 2), candidate[3]))
                return row, x, anchor
    rows[-1].append(box(*sides[0][:1], 0, text, size, weight, sides[0][1]))
    return len(rows) - 1, sides[0][0], sides[0][1]


def _along_edge(
    placer: Placer, frame: Frame, at: float, text: str, size: float, weight: int
) -> tuple[float, float, Anchor]:
    """Above or below a y mark's line, at the right or the left end, wherever there is most room."""
    options: list[tuple[float, float, Anchor]] = [
        (frame.right - 2, at - 5, "end"), (frame.left + 4, at - 5, "start"),
        (frame.right - 2, at + 12, "end"), (frame.left + 4, at + 12, "start"),
    ]  # fmt: skip
    best = min(options, key=lambda place: placer.cost(box(place[0], place[1], text, size, weight, place[2])))
    placer.taken.append(box(best[0], best[1], text, size, weight, best[2]))
    return best
