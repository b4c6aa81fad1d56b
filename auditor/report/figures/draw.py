"""From one piece of evidence and its files to its drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auditor.errors import RenderError
from auditor.records.evidence import AnyEvidence, Bars, Curve, Dumbbell, Graph, Heatmap, Histogram
from auditor.report.figures.bars import draw_bars, draw_dumbbell
from auditor.report.figures.canvas import Canvas
from auditor.report.figures.curve import draw_curve
from auditor.report.figures.graph import draw_graph
from auditor.report.figures.heatmap import draw_heatmap
from auditor.report.figures.histogram import draw_histogram


def draw(evidence: AnyEvidence, data: Path | None, *, id: str, compact: bool = False) -> Canvas | None:
    """The plot of `evidence` from its file, lower where `compact`; None where it is no plot. Raises RenderError."""
    title = evidence.alt or f"{evidence.caption} {evidence.detail}".strip()
    if isinstance(evidence, Graph):
        return draw_graph(evidence, id=id, title=title)
    if not isinstance(evidence, (Curve, Histogram, Bars, Dumbbell, Heatmap)):
        return None
    if data is None:
        raise RenderError(
            f"{evidence.id}: the data of a {evidence.kind} is missing", remedy="run `auditor check` again"
        )
    columns = read_columns(data)
    try:
        match evidence:
            case Curve():
                return draw_curve(evidence, columns, id=id, title=title, compact=compact)
            case Histogram():
                return draw_histogram(evidence, columns, id=id, title=title, compact=compact)
            case Bars():
                return draw_bars(evidence, columns, id=id, title=title)
            case Dumbbell():
                return draw_dumbbell(evidence, columns, id=id, title=title)
            case Heatmap():
                return draw_heatmap(evidence, columns, id=id, title=title)
    except KeyError as error:
        raise RenderError(
            f"{data.name}: evidence {evidence.id!r} asks for column {error.args[0]!r}, found {', '.join(columns)}",
            remedy="this is a defect of the check that wrote it",
        ) from None


def read_columns(path: Path) -> Mapping[str, Sequence[Any]]:
    """A Parquet file as plain lists. Raises RenderError."""
    import pyarrow
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(path).read().to_pydict()
    except (OSError, pyarrow.ArrowException) as error:
        raise RenderError(f"{path} cannot be read: {error}", remedy="run `auditor check` again") from None
