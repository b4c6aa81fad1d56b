"""A layered drawing of a graph as SVG: each node right of all it needs, neighbours near each other, edges as curves.

The order within a layer comes from a few sweeps of the barycentre rule (Sugiyama, Tagawa & Toda 1981); edges over
several layers run through points of their own, so that they do not cross nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditor.plan.drawing import Drawn

SWEEPS = 12
CHARACTER = 6.3
"""Width of an average character at 11 px."""
HEIGHT, GAP, LANE, BETWEEN, MARGIN = 34.0, 10.0, 8.0, 56.0, 16.0

STYLE = """
  text { font: 11px system-ui, sans-serif; fill: #14171c } .detail { fill: #646b78; font-size: 10px }
  .node { fill: #fff; stroke: #14171c } .leaf { fill: #f5f6f8; stroke: #9aa3b0 }
  .judgement { stroke: #0072b2; stroke-width: 2 }
  .cached { stroke-dasharray: 4 3 } .edge { fill: none; stroke: #9aa3b0 }
  @media (prefers-color-scheme: dark) {
    text { fill: #eceff3 } .detail { fill: #8f97a4 } .node { fill: #101317; stroke: #eceff3 }
    .leaf { fill: #181c22; stroke: #677080 } .judgement { stroke: #4ba6de } .edge { stroke: #677080 } }
"""


def svg(nodes: Mapping[str, Drawn]) -> str:
    """The drawing, with a title per node that names its digest and the checks that need it."""
    layers, bends = _layers(nodes)
    order = _ordered(layers, _neighbours(nodes, bends))
    widths = [max((_width(nodes[item]) for item in layer if item in nodes), default=0.0) for layer in order]
    lefts = [MARGIN + sum(widths[:column]) + BETWEEN * column for column in range(len(order))]
    middles = _heights(order, nodes)
    place = {item: (lefts[column], middles[item]) for column, layer in enumerate(order) for item in layer}
    right = {item: lefts[column] + widths[column] for column, layer in enumerate(order) for item in layer}
    width = (lefts[-1] + widths[-1] if order else 0.0) + MARGIN
    height = max(middles.values(), default=0.0) + HEIGHT / 2 + MARGIN
    edges = [_edge(digest, source, bends, place, right, nodes) for digest in nodes for source in nodes[digest].inputs]
    boxes = [_box(node, *place[digest]) for digest, node in nodes.items()]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
    head += f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="graph of {len(nodes)} tasks">'
    return "\n".join([head, f"<style>{STYLE}</style>", *edges, *boxes, "</svg>"]) + "\n"


def _layers(nodes: Mapping[str, Drawn]) -> tuple[list[list[str]], dict[tuple[str, str], list[str]]]:
    """Columns of nodes and of the bends of long edges. A leaf stands just left of the first node that needs it.

    Edges from one node share their bends, so that they run as one line until they part.
    """
    depth: dict[str, int] = {}
    for digest, node in nodes.items():
        depth[digest] = max((depth[source] + 1 for source in node.inputs), default=0)
    first_use: dict[str, int] = {}
    for digest, node in nodes.items():
        for source in node.inputs:
            first_use[source] = min(depth[digest], first_use.get(source, depth[digest]))
    for digest, use in first_use.items():
        if not nodes[digest].inputs:
            depth[digest] = use - 1
    columns: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for digest in nodes:
        columns[depth[digest]].append(digest)
    bends: dict[tuple[str, str], list[str]] = {}
    for digest, node in nodes.items():
        for source in node.inputs:
            bends[source, digest] = [f"{source}@{at}" for at in range(depth[source] + 1, depth[digest])]
            for at, bend in enumerate(bends[source, digest], depth[source] + 1):
                if bend not in columns[at]:
                    columns[at].append(bend)
    return columns, bends


def _neighbours(nodes: Mapping[str, Drawn], bends: Mapping[tuple[str, str], list[str]]) -> dict[str, list[str]]:
    near: dict[str, list[str]] = {digest: [] for digest in nodes}
    for (source, digest), between in bends.items():
        chain = [source, *between, digest]
        for left, right in pairwise(chain):
            if right not in near.setdefault(left, []):
                near[left].append(right)
                near.setdefault(right, []).append(left)
    return near


def _ordered(layers: list[list[str]], near: Mapping[str, list[str]]) -> list[list[str]]:
    """Each layer sorted by the mean position of its neighbours on one side, sweeping to and fro."""
    column = {item: number for number, layer in enumerate(layers) for item in layer}
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        numbers = range(len(layers)) if forward else range(len(layers) - 1, -1, -1)
        for number in numbers:
            before = number - 1 if forward else number + 1
            if not 0 <= before < len(layers):
                continue
            at = {item: place for place, item in enumerate(layers[before])}
            own = {item: place for place, item in enumerate(layers[number])}
            layers[number].sort(
                key=lambda item: (_mean([at[o] for o in near[item] if column[o] == before], own[item]), own[item])
            )
    return layers


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _heights(order: list[list[str]], nodes: Mapping[str, Drawn]) -> dict[str, float]:
    """The middle of each item; layers are centred on the tallest."""
    sizes = [[HEIGHT if item in nodes else LANE for item in layer] for layer in order]
    totals = [sum(size) + GAP * max(0, len(size) - 1) for size in sizes]
    tallest = max(totals, default=0.0)
    middles: dict[str, float] = {}
    for layer, size, total in zip(order, sizes, totals, strict=True):
        top = MARGIN + (tallest - total) / 2
        for item, height in zip(layer, size, strict=True):
            middles[item] = top + height / 2
            top += height + GAP
    return middles


def _edge(
    digest: str,
    source: str,
    bends: Mapping[tuple[str, str], list[str]],
    place: Mapping[str, tuple[float, float]],
    right: Mapping[str, float],
    nodes: Mapping[str, Drawn],
) -> str:
    x, y = place[source][0] + _width(nodes[source]), place[source][1]
    path = f"M{x:.1f} {y:.1f}"
    for item in (*bends[source, digest], digest):
        left, middle = place[item]
        pull = (left - x) / 2
        path += f" C{x + pull:.1f} {y:.1f} {left - pull:.1f} {middle:.1f} {left:.1f} {middle:.1f}"
        x, y = (right[item] if item not in nodes else left), middle
        path += f" L{x:.1f} {y:.1f}" if item not in nodes else ""
    return f'<path class="edge" d="{path}"/>'


def _box(node: Drawn, x: float, y: float) -> str:
    lines = [node.label, node.detail] if node.detail else [node.label]
    first = y + 4 - 6.5 * (len(lines) - 1)
    texts = [
        f'<text class="{"detail" if at else "label"}" x="{x + 8:.1f}" y="{first + 13 * at:.1f}">{escape(line)}</text>'
        for at, line in enumerate(lines)
    ]
    state = "in the store" if node.cached else "to run"
    title = f"{node.digest[:12]}, {state}; needed by {', '.join(node.checks)}"
    corner = {"judgement": HEIGHT / 2, "leaf": 0, "task": 3}[node.kind]
    rect = (
        f'<rect class="node {node.kind}{" cached" if node.cached else ""}" x="{x:.1f}" y="{y - HEIGHT / 2:.1f}" '
        f'width="{_width(node):.1f}" height="{HEIGHT:.0f}" rx="{corner:.0f}"/>'
    )
    return f"<g><title>{escape(title)}</title>{rect}{''.join(texts)}</g>"


def _width(node: Drawn) -> float:
    return 16 + CHARACTER * max(len(node.label), len(node.detail) * 0.93)
