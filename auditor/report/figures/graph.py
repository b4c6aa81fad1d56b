"""A directed graph of labelled boxes, from left to right."""

from __future__ import annotations

from auditor.records.evidence import Graph
from auditor.report.figures.canvas import Canvas
from auditor.report.figures.layers import arrange, reduced
from auditor.report.figures.tasks import flowing
from auditor.report.typeface import width as text_width


def draw_graph(evidence: Graph, *, id: str, title: str) -> Canvas:
    nodes = {node.id: node for node in evidence.nodes}
    edges = [edge for edge in evidence.edges if edge[0] in nodes and edge[1] in nodes]
    kept = reduced(list(nodes), edges)
    layout = arrange(list(nodes), kept, pitch=34.0)
    width, gap = (657.0 if evidence.wide else 316.0), 24.0
    wide = (width - gap * (len(layout.columns) - 1)) / max(len(layout.columns), 1)
    wide = min(wide, 150.0)
    left = {node: k * (wide + gap) for k, column in enumerate(layout.columns) for node in column}
    at = {node: y + 2 for node, y in layout.at.items()}
    canvas = Canvas(width, layout.height + 4, title, id=id, kind="plot wide" if evidence.wide else "plot")
    for edge in kept:
        points = [(left[edge[0]] + wide, at[edge[0]])]
        for lane in layout.lanes[edge]:
            points += [(left[lane], at[lane]), (left[lane] + wide, at[lane])]
        canvas.path(flowing([*points, (left[edge[1]], at[edge[1]])]), stroke="ink3")
    for key, node in nodes.items():
        canvas.rect(left[key] + 0.5, at[key] - 13, wide - 1, 26, "paper", stroke="ink3", stroke_width=0.9, radius=1.5)
        label = node.label
        while label and text_width(label, 9.5, 500) > wide - 12:
            label = label[:-2] + "…" if len(label) > 2 else ""
        canvas.text(left[key] + 6, at[key] + (-1 if node.status else 3.3), label, size=9.5, fill="ink", weight=500)
        if node.status:
            canvas.text(left[key] + 6, at[key] + 9, node.status, size=8.5)
    return canvas
