"""What the terminal can show: width, colour, symbols; and the marks of a status, shape and word before colour."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import IO, NamedTuple

import click

NARROW, WIDE = 60, 110


class Mark(NamedTuple):
    """How a status is shown: its symbol, the same in ASCII, its colour."""

    symbol: str
    plain: str
    colour: str


MARKS = {
    "pass": Mark("●", "+", "green"),
    "fail": Mark("■", "x", "red"),
    "inconclusive": Mark("◐", "?", "yellow"),
    "waived": Mark("□", "~", "cyan"),
    "error": Mark("▲", "!", "magenta"),
    "skipped": Mark("◌", "-", "bright_black"),
    "regression": Mark("▼", "<", "red"),
}


def width() -> int:
    """Columns to use, between 60 and 110."""
    return max(NARROW, min(WIDE, shutil.get_terminal_size((80, 24)).columns))


def colour_wanted() -> bool | None:
    """False where NO_COLOR is set, True where FORCE_COLOR is; None leaves it to whether the output is a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    return True if os.environ.get("FORCE_COLOR") else None


def encodes(text: str, stream: IO[str] | None = None) -> bool:
    """Whether `stream` (standard output) can write `text`."""
    try:
        text.encode(getattr(stream or sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def mark(status: str) -> str:
    """The symbol of a status, coloured."""
    known = MARKS.get(status, Mark("·", ".", "white"))
    return click.style(known.symbol if encodes(known.symbol) else known.plain, fg=known.colour)


def word(status: str) -> str:
    """The status itself in its colour."""
    return click.style(status, fg=MARKS[status].colour if status in MARKS else None)


def dim(text: str) -> str:
    return click.style(text, dim=True)


def bold(text: str) -> str:
    return click.style(text, bold=True)


def plain(text: str) -> str:
    """`text` as this output can write it: typographic signs become ASCII where it must."""
    if encodes(text):
        return text
    for sign, ascii_ in (("≥", ">="), ("≤", "<="), ("–", "-"), ("…", "..."), ("·", "-"), ("−", "-"), ("→", "->")):
        text = text.replace(sign, ascii_)
    return text.encode("ascii", "replace").decode()


def say(text: str = "", *, err: bool = False) -> None:
    """One line, as the output can write it."""
    click.echo(plain(text), err=err)


def paragraph(text: str, *, first: str = "  ", follow: str | None = None, quiet: bool = False) -> None:
    """`text` broken to the width, dim where `quiet`, its first line after `first`, the others after `follow`.

    Without `follow` they stand as far in as the first. A word longer than a line, such as a path, stays whole.
    """
    head = " " * len(click.unstyle(first))
    rest = head if follow is None else follow
    lines = textwrap.fill(
        text, width(), initial_indent=head, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    )
    body = lines[len(head) :]
    say(first + (dim(body) if quiet else body))


def fit(text: str, columns: int) -> str:
    """`text` padded to `columns`, or cut with an ellipsis."""
    return text.ljust(columns) if len(text) <= columns else text[: columns - 1] + "…"


def seconds(value: float) -> str:
    """ "0.4 s", "12 s", "3 min 20 s", "2 h 5 min"."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(nbytes: float) -> str:
    """ "512 B", "3.4 MB", in powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 1000:
            return f"{nbytes:.0f} {unit}" if unit == "B" or nbytes >= 100 else f"{nbytes:.1f} {unit}"
        nbytes /= 1000
    return f"{nbytes:.1f} TB"
