"""A directed graph of labelled boxes, from left to right."""

from __future__ import annotations

from auditor.records.evidence import Graph
from auditor.report.figures.canvas import Canvas
from auditor.report.figures.layers import heights, layers, reduced
from auditor.report.typeface import width as text_width


def draw_graph(evidence: Graph, *, id: str, title: str) -> Canvas:
    nodes = {node.id: node for node in evidence.nodes}
    edges = [edge for edge in evidence.edges if edge[0] in nodes and edge[1] in nodes]
    kept = reduced(list(nodes), edges)
    columns = layers(list(nodes), kept)
    width = 657.0 if evidence.wide else 316.0
    gap = 24.0
    wide = (width - gap * (len(columns) - 1)) / max(len(columns), 1)
    total = max((len(column) for column in columns), default=1) * 34.0
    at = heights(columns, kept, {k: 34.0 for k in range(len(columns))}, total)
    left = {node: k * (wide + gap) for k, column in enumerate(columns) for node in column}
    canvas = Canvas(width, total + 4, title, id=id, kind="plot wide" if evidence.wide else "plot")
    for source, target in kept:
        a, b = (left[source] + wide, at[source]), (left[target], at[target])
        bend = (b[0] - a[0]) / 2
        canvas.path(
            f"M{a[0]:.2f} {a[1]:.2f}C{a[0] + bend:.2f} {a[1]:.2f} {b[0] - bend:.2f} {b[1]:.2f} {b[0]:.2f} {b[1]:.2f}",
            stroke="ink3",
        )
    for key, node in nodes.items():
        canvas.rect(left[key] + 0.5, at[key] - 13, wide - 1, 26, "paper", stroke="ink3", stroke_width=0.9, radius=1.5)
        label = node.label
        while label and text_width(label, 9.5, 500) > wide - 12:
            label = label[:-2] + "…" if len(label) > 2 else ""
        canvas.text(left[key] + 6, at[key] + (-1 if node.status else 3.3), label, size=9.5, fill="ink", weight=500)
        if node.status:
            canvas.text(left[key] + 6, at[key] + 9, node.status, size=8.5)
    return canvas
