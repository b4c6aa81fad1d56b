"""Evidence: what a finding shows a reader. Each kind names its data (a Parquet or PNG file) and how to draw it.

A check returns evidence beside its tables and images (`Judgement`); the audit writes those to
`evidence/<check>/<id>.parquet` and `.png`; `report` draws the pictures from the files alone.
Captions and alternative texts are whole sentences with their numbers in them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from auditor.records.base import Number, Record


class Axis(Record):
    """What an axis measures. `low`/`high` fix its ends; `percent` prints ticks as shares of one hundred."""

    label: str
    scale: Literal["linear", "log"] = "linear"
    low: Number | None = None
    high: Number | None = None
    percent: bool = False


class Mark(Record):
    """A line across a plot at `value` on one axis, labelled on the data."""

    axis: Literal["x", "y"]
    value: Number
    label: str
    kind: Literal["threshold", "observed", "reference"] = "reference"


class Evidence(Record):
    """Common to every kind. `id` is the file stem.

    `caption` is the bold first sentence, `detail` the rest, `alt` the picture in words.
    `data` and `picture` are paths below the run's folder, filled in when the audit writes them.
    """

    id: str
    caption: str
    detail: str = ""
    alt: str = ""
    wide: bool = False
    data: str | None = None
    picture: str | None = None


class Column(Record):
    """A column of a table: its name in the file and its heading. `format` is a Python format spec for numbers."""

    name: str
    label: str
    format: str = ""


class Table(Evidence):
    """Rows of `<id>.parquet`; `columns` picks and orders what is printed."""

    kind: Literal["table"] = "table"
    columns: tuple[Column, ...]


class Series(Record):
    """One line of a curve: columns of the data file. `low`/`high` name the columns of its band."""

    label: str
    x: str
    y: str
    low: str | None = None
    high: str | None = None
    style: Literal["data", "second", "third", "reference"] = "data"


class Curve(Evidence):
    """Lines over a common axis. `stacked` fills between consecutive series, lowest first, each labelled on its area; a
    `reference` stays a line.
    """

    kind: Literal["curve"] = "curve"
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    stacked: bool = False
    step: bool = False
    diagonal: str | None = None


class Histogram(Evidence):
    """Counts of the column `value`; `group` splits it in two or three. Hatching covers the side a mark rules out."""

    kind: Literal["histogram"] = "histogram"
    x: Axis
    value: str
    group: str | None = None
    bins: int = 40
    marks: tuple[Mark, ...] = ()
    hatch: Literal["below", "above"] | None = None


class Bars(Evidence):
    """One bar a row, in the order given: column `label`, stacked `values`, whiskers `low` to `high`, a mark `tick`."""

    kind: Literal["bars"] = "bars"
    x: Axis
    label: str
    values: tuple[str, ...]
    names: tuple[str, ...] = ()
    low: str | None = None
    high: str | None = None
    tick: str | None = None
    tick_name: str = ""
    marks: tuple[Mark, ...] = ()


class Dumbbell(Evidence):
    """One row a `label`, from column `start` to column `end`, with the interval of `end`."""

    kind: Literal["dumbbell"] = "dumbbell"
    x: Axis
    label: str
    start: str
    end: str
    start_name: str
    end_name: str
    low: str | None = None
    high: str | None = None


class Heatmap(Evidence):
    """A matrix in long form: columns `row`, `column`, `value`; `outlined` lists groups of labels drawn as boxes."""

    kind: Literal["heatmap"] = "heatmap"
    row: str
    column: str
    value: str
    row_label: str = ""
    column_label: str = ""
    percent: bool = True
    outlined: tuple[tuple[str, ...], ...] = ()


class Tile(Record):
    """One picture of a grid. `overlay` is drawn over `image` in grey with the shared colour map; `box` (top, left,
    height, width in pixels) is a dashed outline. `shows` names what a spec may ask to blur."""

    image: str
    overlay: str | None = None
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    title: str
    note: str = ""
    status: Literal["holds", "breaks", "neutral"] = "neutral"
    shows: Literal["members", "reconstructions"] | None = None


class ImageGrid(Evidence):
    """Pictures side by side; `image` and `overlay` name PNG files of the check's evidence folder, without ending."""

    kind: Literal["images"] = "images"
    tiles: tuple[Tile, ...]


class Node(Record):
    id: str
    label: str
    status: str = ""


class Graph(Evidence):
    """A directed graph, drawn from left to right."""

    kind: Literal["graph"] = "graph"
    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]


class Note(Evidence):
    """A paragraph of text; `caption` heads it."""

    kind: Literal["note"] = "note"
    text: str


AnyEvidence = Annotated[
    Table | Curve | Histogram | Bars | Dumbbell | Heatmap | ImageGrid | Graph | Note, Field(discriminator="kind")
]
