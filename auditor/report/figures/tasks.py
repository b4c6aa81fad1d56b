"""The graph that ran: every task once, what it fed, how long it took, and the checks it decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from auditor.records import Finding, TaskRecord
from auditor.report import words
from auditor.report.figures.canvas import Canvas
from auditor.report.figures.layers import Edge, Layout, arrange, reduced
from auditor.report.marks import status_shapes
from auditor.report.typeface import width as text_width

MOST_CHECKS = 44
MOST_TASKS = 20
MOST_COLUMNS = 4
CHECK_WIDTH = 158.0
TALLEST = 760.0


@dataclass(frozen=True)
class Work:
    """A box of the drawing: one task, or several calls of one op that feed the same."""

    id: str
    label: str
    seconds: float
    cached: bool
    failed: bool
    inputs: tuple[str, ...]
    checks: tuple[str, ...]
    times: int = 1


def task_name(op: str) -> str:
    """The op's own name in words: `auditor.checks.common.ops:forward_pass` is "forward pass"."""
    return op.replace(":", ".").rpartition(".")[2].replace("_", " ").strip() or op


def draw_tasks(
    tasks: Sequence[TaskRecord], findings: Sequence[Finding], blocking: Sequence[str], *, id: str, title: str
) -> tuple[Canvas, int] | None:
    """The drawing and how many small steps it leaves out, or None where it would be too large to read."""
    shown = [finding for finding in findings if any(finding.check in task.checks for task in tasks)]
    if not shown or len(shown) > MOST_CHECKS:
        return None
    work, ends = _work(tasks)
    checks = {f"check:{finding.check}": tuple(ends.get(finding.check, ())) for finding in shown}
    work, checks = _merged(work, checks)
    left_out = 0
    while True:
        layout, edges = _arranged(work, checks)
        if len(layout.columns) - 1 <= MOST_COLUMNS and len(work) <= MOST_TASKS and layout.height <= TALLEST:
            return _drawn(layout, edges, work, shown, set(blocking), id=id, title=title), left_out
        least = _least(work)
        if least is None:
            return None
        left_out += work[least].times
        work, checks = _without(least, work, checks)


def _arranged(work: dict[str, Work], checks: dict[str, tuple[str, ...]]) -> tuple[Layout, list[Edge]]:
    edges = {(source, item.id) for item in work.values() for source in item.inputs if source in work}
    edges |= {(source, check) for check, sources in checks.items() for source in sources if source in work}
    nodes = [*work, *checks]
    kept = reduced(nodes, edges)
    return arrange(nodes, kept, last=list(checks), pitch=31.0, last_pitch=24.0), kept


def _least(work: dict[str, Work]) -> str | None:
    """The step that took least, of those that are neither sources, failed, nor a twentieth of the whole time."""
    total = sum(item.seconds for item in work.values())
    small = [item for item in work.values() if item.inputs and not item.failed and item.seconds * 20 <= total]
    return min(small, key=lambda item: item.seconds).id if small else None


def _without(
    id: str, work: dict[str, Work], checks: dict[str, tuple[str, ...]]
) -> tuple[dict[str, Work], dict[str, tuple[str, ...]]]:
    """The graph without one step: what it needed leads straight to what needed it."""
    through = work[id].inputs

    def rewired(inputs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(s for source in inputs for s in (through if source == id else (source,))))

    kept = {key: replace(item, inputs=rewired(item.inputs)) for key, item in work.items() if key != id}
    return kept, {check: rewired(sources) for check, sources in checks.items()}


def _work(tasks: Sequence[TaskRecord]) -> tuple[list[Work], dict[str, list[str]]]:
    """Tasks as boxes, and per check what feeds its judgement; the judgement itself is drawn as the check."""
    feeds = {source for task in tasks for source in task.inputs}
    ends: dict[str, list[str]] = {}
    work = []
    for task in tasks:
        if task.digest not in feeds and len(task.checks) == 1 and task.inputs:
            ends.setdefault(task.checks[0], []).extend(task.inputs)
            continue
        if task.digest not in feeds:
            for check in task.checks:
                ends.setdefault(check, []).append(task.digest)
        work.append(
            Work(
                task.digest,
                task_name(task.op),
                task.seconds,
                task.cached,
                task.status == "failed",
                task.inputs,
                task.checks,
            )
        )
    return work, ends


def _merged(
    work: Sequence[Work], checks: dict[str, tuple[str, ...]]
) -> tuple[dict[str, Work], dict[str, tuple[str, ...]]]:
    """Sources of one name become one box; in a large graph, so do calls of one op for the same checks."""
    merged: dict[tuple[str, ...], Work] = {}
    alias: dict[str, str] = {}
    for item in work:
        key = (item.label,) if not item.inputs else (item.label, *item.checks) if len(work) > MOST_TASKS else (item.id,)
        first = merged.setdefault(key, item)
        alias[item.id] = first.id
        if first is not item:
            merged[key] = replace(
                first, seconds=first.seconds + item.seconds, cached=first.cached and item.cached,
                failed=first.failed or item.failed, inputs=(*first.inputs, *item.inputs),
                checks=tuple(dict.fromkeys((*first.checks, *item.checks))), times=first.times + 1,
            )  # fmt: skip

    def renamed(inputs: tuple[str, ...], own: str = "") -> tuple[str, ...]:
        return tuple(dict.fromkeys(alias[source] for source in inputs if alias.get(source, own) != own))

    kept = {item.id: replace(item, inputs=renamed(item.inputs, item.id)) for item in merged.values()}
    return kept, {check: renamed(sources) for check, sources in checks.items()}


def _drawn(
    layout: Layout, edges: Sequence[Edge], work: dict[str, Work], findings: Sequence[Finding], blocking: set[str],
    *, id: str, title: str
) -> Canvas:  # fmt: skip
    width, head = 657.0, 26.0
    inner = len(layout.columns) - 1
    wide = min((width - CHECK_WIDTH - 22.0 * inner) / inner, 132.0)
    gap = (width - CHECK_WIDTH - wide * inner) / inner
    canvas = Canvas(width, head + layout.height + 6, title, id=id, kind="plot wide")
    left = {node: k * (wide + gap) for k, column in enumerate(layout.columns) for node in column}
    for k, text in enumerate(_heads(inner)):
        x = k * (wide + gap)
        canvas.line((x, 15), (x + (wide if k < inner else CHECK_WIDTH), 15), "ink", 1)
        canvas.text(x, 9, _cut(text, wide + gap - 4, 10, 600), size=10, fill="ink", weight=600)
    ends = {f"check:{check}" for check in blocking}
    for edge in sorted(edges, key=lambda edge: edge[1] in ends):
        source, target = edge
        strong = target in ends
        points = [(left[source] + wide, head + layout.at[source])]
        for lane in layout.lanes[edge]:
            y = head + layout.at[lane]
            points += [(left[lane], y), (left[lane] + wide, y)]
        points.append((left[target] + (0 if target in work else 1), head + layout.at[target]))
        canvas.path(flowing(points), stroke="ink" if strong else "hatch", width=1.6 if strong else 0.8)
    for item in work.values():
        _box(canvas, item, left[item.id], head + layout.at[item.id], wide)
    for finding in findings:
        node = f"check:{finding.check}"
        _check(canvas, finding, left[node], head + layout.at[node], width, finding.check in blocking)
    return canvas


def _heads(inner: int) -> list[str]:
    if inner == 1:
        return ["work", "checks"]
    if inner == 2:
        return ["sources", "work", "checks"]
    return [
        "sources",
        "shared work",
        *["further work"] * (inner > 3),
        *[""] * (inner - 4),
        "work for one question",
        "checks",
    ]


def flowing(points: Sequence[tuple[float, float]]) -> str:
    """A path through `points` that leaves and reaches each one level."""
    d = f"M{points[0][0]:.2f} {points[0][1]:.2f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        bend = (x1 - x0) / 2
        d += f"C{x0 + bend:.2f} {y0:.2f} {x1 - bend:.2f} {y1:.2f} {x1:.2f} {y1:.2f}"
    return d


def _box(canvas: Canvas, item: Work, x: float, y: float, width: float) -> None:
    canvas.rect(
        x + 0.5, y - 12, width - 1, 24, "paper", stroke="alert" if item.failed else "ink3", stroke_width=0.9,
        dash="3 2.4" if item.cached else "", radius=1.5,
    )  # fmt: skip
    label = item.label if item.times == 1 else f"{item.label} ×{item.times}"
    canvas.text(x + 7, y - 1.5, _cut(label, width - 14, 9.5), size=9.5, fill="ink", weight=500)
    note = "cached" if item.cached else "failed" if item.failed else words.duration(item.seconds)
    canvas.text(x + 7, y + 8.6, note, size=8.5, fill="alert" if item.failed else "ink2")


def _check(canvas: Canvas, finding: Finding, x: float, y: float, width: float, blocks: bool) -> None:
    status = "waived" if finding.waived else finding.status.value
    canvas.parts.append(f'<g transform="translate({x + 2:.2f} {y - 5.5:.2f}) scale(.6875)">{status_shapes(status)}</g>')
    room = width - x - 20
    weight = 600 if blocks else 400
    canvas.text(x + 18, y + 3.4, _cut(finding.check, room, 9.75, weight), size=9.75, fill="ink", weight=weight)


def _cut(text: str, room: float, size: float, weight: int = 500) -> str:
    if text_width(text, size, weight) <= room:
        return text
    while text and text_width(text + "…", size, weight) > room:
        text = text[:-1]
    return text + "…"
