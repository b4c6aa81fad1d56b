"""A finding's evidence as numbered pictures; every plot is also written as an SVG beside its data."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from auditor.errors import RenderError
from auditor.records import Finding
from auditor.records.evidence import AnyEvidence, Evidence, ImageGrid, Note, Table
from auditor.report import words
from auditor.report.figures.draw import draw, read_columns
from auditor.report.figures.images import draw_grid, draw_tile
from auditor.report.folder import RunFolder, evidence_folder
from auditor.report.view import Cell, Heading, Picture, Sheet, TileView

MOST_ROWS = 60
"""Rows of a table that are printed; the rest is named as a file (long tables cost WeasyPrint more than their share)."""


@dataclass
class Gallery:
    """Draws pictures and counts figures through the document. `redact` names what must not leave the building."""

    folder: RunFolder
    redact: Collection[str] = ()
    count: int = 0

    def pictures(self, finding: Finding, *, compact: bool = False) -> tuple[Picture, ...]:
        """The finding's pictures in its order; `compact` ones are lower, for two checks to a page."""
        return tuple(self._picture(finding, item, compact) for item in finding.evidence)

    def number(self) -> int:
        self.count += 1
        return self.count

    def _picture(self, finding: Finding, item: AnyEvidence, compact: bool) -> Picture:
        below = evidence_folder(finding.check)
        data = self.folder.find(item.data, f"{below}/{item.id}.parquet")
        shown = item.data or f"{below}/{item.id}.parquet"
        id = f"{below[len('evidence/') :]}-{item.id}"
        try:
            match item:
                case Note():
                    return Picture("note", id, item.caption, item.detail, text=item.text)
                case Table():
                    if data is None:
                        raise RenderError(f"{shown} is missing")
                    return Picture(
                        "table", id, item.caption, item.detail, sheet=_sheet(item, read_columns(data), shown)
                    )
                case ImageGrid():
                    return self._grid(item, below, id)
                case _:
                    canvas = draw(item, data, id=id, compact=compact)
        except RenderError as error:
            return _missing(item, id, error.what)
        assert canvas is not None
        self.folder.write(f"{below}/{item.id}.svg", canvas.svg(standalone=True).encode("utf-8"))
        source = shown if data is not None else ""
        return Picture(
            kind="plot",
            id=id,
            caption=item.caption,
            detail=item.detail,
            number=self.number(),
            wide="wide" in canvas.kind,
            svg=canvas.svg(),
            source=source,
            heat=canvas.kind == "plot heat",
        )

    def _grid(self, item: ImageGrid, below: str, id: str) -> Picture:
        drawn = []
        for k, tile in enumerate(item.tiles):
            redact = tile.shows is not None and tile.shows in self.redact
            try:
                drawn.append((tile, draw_tile(tile, self.folder.root / below, id=f"{id}-{k}", redact=redact)))
            except OSError as error:
                raise RenderError(f"{below}/{tile.image}.png cannot be read: {error.strerror or error}") from None
        title = item.alt or f"{item.caption} {item.detail}".strip()
        whole = draw_grid(tuple(drawn), id=id, title=title)
        self.folder.write(f"{below}/{item.id}.svg", whole.svg(standalone=True).encode("utf-8"))
        tiles = tuple(
            TileView(tile.title, tile.note, tile.status, tuple(part.svg() for part in parts)) for tile, parts in drawn
        )
        detail = item.detail
        if any(tile.shows in self.redact for tile in item.tiles if tile.shows):
            detail = f"{detail} Blurred, as the spec’s redaction asks.".strip()
        return Picture("tiles", id, item.caption, detail, self.number(), item.wide, tiles=tiles)


def _missing(item: Evidence, id: str, what: str) -> Picture:
    return Picture("missing", id, item.caption, item.detail, text=words.sentence(f"Not drawn: {what}"))


def _sheet(item: Table, columns: Any, shown: str) -> Sheet:
    wanted = [column for column in item.columns if column.name in columns]
    if len(wanted) < len(item.columns):
        lacking = [column.name for column in item.columns if column.name not in columns]
        raise RenderError(f"{shown} has no column {', '.join(lacking)}")
    total = len(next(iter(columns.values()), ()))
    numeric = [
        bool(c.format) or any(isinstance(v, (int, float)) and not isinstance(v, bool) for v in columns[c.name])
        for c in wanted
    ]
    rows = tuple(
        tuple(
            Cell(
                _formatted(columns[column.name][k], column.format), "name" if place == 0 and not numeric[0] else "text"
            )
            for place, column in enumerate(wanted)
        )
        for k in range(min(total, MOST_ROWS))
    )
    rest = f"{total - MOST_ROWS:,} more rows in" if total > MOST_ROWS else ""
    headings = tuple(Heading(column.label, is_number) for column, is_number in zip(wanted, numeric, strict=True))
    return Sheet(item.caption.rstrip("."), headings, rows, f"{rest} {shown}" if rest else "")


def _formatted(value: Any, format: str) -> str:
    if format and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:{format}}".replace("-", words.MINUS)
    return words.number(value)
