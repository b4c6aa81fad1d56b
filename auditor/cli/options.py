"""Options that several commands share, and the values they read."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import click

SPEC = click.Path(path_type=Path, dir_okay=False)
RUN = click.Path(path_type=Path)

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "k": 10**3, "m": 10**6, "g": 10**9}


class Duration(click.ParamType):
    """`90s`, `30m`, `1h30m`, or seconds as a bare number."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        text = str(value).strip().lower().replace(" ", "")
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return float(text)
        parts = re.findall(r"(\d+(?:\.\d+)?)(min|[smhd])", text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            self.fail(f"{value!r} is not a duration such as 90s, 30m or 1h30m", param, ctx)
        return sum(float(number) * _UNITS[unit] for number, unit in parts)


class Size(click.ParamType):
    """`500MB`, `2GB`, or bytes as a bare number."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?b?)", str(value).strip().lower())
        if match is None or match[2] not in (*_SIZES, "b"):
            self.fail(f"{value!r} is not a size such as 500MB or 2GB", param, ctx)
        return int(float(match[1]) * _SIZES.get(match[2], 1))


class Day(click.ParamType):
    """A day as YYYY-MM-DD."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        if isinstance(value, dt.date):
            return value
        from auditor.gate.waivers import date_of

        day = date_of(value)
        if day is None:
            self.fail(f"{value!r} is not a date such as 2026-11-24", param, ctx)
        return day


class Names(click.ParamType):
    """Names separated by commas."""

    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


def _union(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> str | None:
    """An option given several times means what any of them means; a blank one stays blank, to be refused."""
    return None if not given else " ".join(given)


formats = click.option(
    "-f",
    "--formats",
    "--format",
    type=Names(),
    metavar="LIST",
    help="Of html, pdf, json, junit, sarif, md; default: the spec's.",
)
select = click.option(
    "-s",
    "--select",
    metavar="EXPR",
    multiple=True,
    callback=_union,
    help="Only these checks: name:, type:, tag:, status:, state:modified, with globs; several add up.",
)
exclude = click.option("--exclude", metavar="EXPR", multiple=True, callback=_union, help="Not these checks.")
device = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda:0 or cuda:0,cuda:1.")
seed = click.option("--seed", type=int, help="In place of the spec's seed.")
baseline = click.option("--baseline", type=RUN, metavar="RUN", help="An earlier run to compare with.")
as_of = click.option("--as-of", type=Day(), help="The day on which waivers are judged; default: today.")
unsafe = click.option(
    "--allow-unsafe-load", is_flag=True, help="Load model files that can run code. You trust the file."
)
