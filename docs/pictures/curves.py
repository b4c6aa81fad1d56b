"""Draws how trainings went: the estimated VRA of each model, epoch by epoch, from the notes of `auditor train`.

    python docs/pictures/curves.py OUT.svg NAME=MODEL.training.json ...

The lines are estimates on the training rows. What was proved, on rows the network never saw, is printed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from auditor.records.evidence import Axis, Curve, Series
from auditor.report.figures.curve import draw_curve

STYLES = ("data", "second", "third", "reference")
"""So many lines can be told apart."""


def drawing(notes: dict[str, dict]) -> str:
    """SVG of one line a note, against the epoch."""
    columns: dict[str, list[float]] = {}
    series = []
    for place, (name, note) in enumerate(notes.items()):
        columns[f"epoch {name}"] = [epoch["number"] for epoch in note["curve"]]
        columns[name] = [epoch["robust"] for epoch in note["curve"]]
        series.append(Series(x=f"epoch {name}", y=name, label=name, style=STYLES[place]))
    evidence = Curve(
        id="curves",
        caption="VRA while training",
        x=Axis(label="epoch"),
        y=Axis(label="VRA, estimated", low=0.0, high=1.0),
        series=tuple(series),
        wide=True,
    )
    return draw_curve(evidence, columns, id="curves", title="VRA while training").svg(standalone=True)


if __name__ == "__main__":
    target, *named = sys.argv[1:]
    notes = {name: json.loads(Path(path).read_text("utf-8")) for name, path in (each.split("=", 1) for each in named)}
    Path(target).write_text(drawing(notes), "utf-8")
    for name, note in notes.items():
        proved = ", ".join(f"{part} {found['vra']:.3f}" for part, found in note["measured"].items())
        print(f"{name}: proved VRA {proved}")
