"""The report as frozen values: everything a template prints, worded, numbered and drawn. HTML and PDF share it.

Strings are unescaped text, except fields called `svg`, which are drawings that have escaped what they hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from auditor.report.bar import Bar


@dataclass(frozen=True)
class Fact:
    """A term with a line or two; `code` is set in the mono face. A status may stand before the first line."""

    term: str
    lines: tuple[str, ...]
    code: str = ""
    status: str = ""


@dataclass(frozen=True)
class Heading:
    label: str
    numeric: bool = False


@dataclass(frozen=True)
class Cell:
    """`kind`: text, code, name (bold), quiet; a status puts its mark before the text."""

    text: str
    kind: str = "text"
    status: str = ""


@dataclass(frozen=True)
class Sheet:
    """A table. `rest` says what is not printed and where it lies."""

    caption: str
    columns: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    rest: str = ""


@dataclass(frozen=True)
class Tally:
    """One number a name, set in several columns."""

    caption: str
    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TileView:
    title: str
    note: str
    status: str
    svg: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """One piece of evidence. `kind`: plot, tiles, table, note or missing. `number` counts figures."""

    kind: str
    id: str
    caption: str
    detail: str = ""
    number: int | None = None
    wide: bool = False
    svg: str = ""
    tiles: tuple[TileView, ...] = ()
    sheet: Sheet | None = None
    text: str = ""
    source: str = ""
    heat: bool = False


@dataclass(frozen=True)
class Block:
    """A band of the page: one picture over the whole width, two halves, or with `texts` what stands beside a half.

    `heat` is the side, left or right, that gets more than half.
    """

    pictures: tuple[Picture, ...]
    texts: bool = False
    notes: tuple[Picture, ...] = ()
    heat: str = ""


@dataclass(frozen=True)
class CheckView:
    """One check. `mark` is its status or `waived`; `claim_size` large, medium or small; `more` its numbers."""

    anchor: str
    number: str
    name: str
    type: str
    severity: str
    mark: str
    status: str
    stance: str
    claim: str
    claim_size: str
    why: str
    metric: str
    value: str
    interval: str
    interval_note: str
    kind: str
    kind_means: str
    basis: tuple[str, ...]
    bar: Bar | None
    summary: str
    reason: str
    opens_when: str
    waiver: str
    blocks: tuple[Block, ...]
    rests_title: str
    rests_on: tuple[str, ...]
    limits: tuple[str, ...]
    power: str
    numbers: tuple[Sheet, ...]
    tallies: tuple[Tally, ...]
    more: str
    rerun: str
    points: str
    points_hash: str


@dataclass(frozen=True)
class ReasonView:
    mark: str
    anchor: str
    title: str
    text: str
    opens_when: str


@dataclass(frozen=True)
class Row:
    """A check in the decision grid. `kinds` has one text per column of evidence, empty but for its own.

    `instead` stands in place of them where the check has no evidence of any kind.
    """

    anchor: str
    name: str
    mark: str
    waived: bool
    kinds: tuple[str, ...]
    instead: str
    bar: Bar | None
    asked: str
    change: str
    regressed: bool
    blocks: bool


@dataclass(frozen=True)
class Cover:
    title: str
    purpose: str
    samples: tuple[TileView, ...]
    mark: str
    verdict: str
    lead: str
    facts: tuple[Fact, ...]
    label: str


@dataclass(frozen=True)
class Decision:
    heading: str
    mark: str
    lead: str
    reasons: tuple[ReasonView, ...]
    kinds: tuple[str, ...]
    rows: tuple[Row, ...]
    caption: str
    note: str
    warnings: tuple[str, ...]
    has_baseline: bool
    baseline: tuple[Fact, ...]


@dataclass(frozen=True)
class Entry:
    """A line of the contents."""

    anchor: str
    text: str
    level: int
    mark: str = ""


@dataclass(frozen=True)
class ScopeView:
    purpose: str
    decides: str
    model: tuple[Fact, ...]
    data: Sheet | None
    classes: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    limits: tuple[str, ...]


@dataclass(frozen=True)
class Ran:
    lead: str
    picture: Picture | None
    shares: tuple[tuple[float, int], ...]
    times: Sheet | None
    note: str


@dataclass(frozen=True)
class SetView:
    name: str
    use: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class FrameworkView:
    title: str
    dated: str
    note: str
    column: str
    rows: tuple[tuple[str, str, tuple[tuple[str, str, str], ...]], ...]
    """Clause, its subject, and per check that ran its mark, anchor and name, or how many have a mark."""


@dataclass(frozen=True)
class SpecLine:
    number: int
    code: str
    comment: str
    marked: bool


@dataclass(frozen=True)
class SpecFile:
    path: str
    lines: tuple[SpecLine, ...]


@dataclass(frozen=True)
class Reference:
    sets: tuple[SetView, ...]
    waivers: Sheet | None
    waiver_note: str
    frameworks: tuple[FrameworkView, ...]
    hashes: Sheet
    environment: tuple[Fact, ...]
    run: tuple[Fact, ...]
    commands: tuple[tuple[str, str], ...]
    glossary: tuple[tuple[str, str], ...]
    specs: tuple[SpecFile, ...]


@dataclass(frozen=True)
class Signature:
    verdict: str
    model: str
    results: str
    choices: tuple[str, ...]
    signers: tuple[tuple[str, str], ...]
    asks: str


@dataclass(frozen=True)
class Document:
    """The whole report."""

    name: str
    run: str
    day: str
    created: str
    version: str
    language: str
    cover: Cover
    decision: Decision
    contents: tuple[Entry, ...]
    scope: ScopeView
    ran: Ran
    full: tuple[CheckView, ...]
    brief: tuple[CheckView, ...]
    numbers: dict[str, str]
    reference: Reference
    signature: Signature
