"""`auditor waive`: a waiver written into the spec, every other character of it kept."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import click

from auditor.cli import options
from auditor.cli.lazy import CONTEXT
from auditor.cli.terminal import bold, say


@click.command(context_settings=CONTEXT)
@click.argument("spec", type=options.SPEC)
@click.argument("check")
@click.option("--reason", required=True, help="Why it is acceptable, for whoever reads the report.")
@click.option("--owner", required=True, help="Who answers for it.")
@click.option(
    "--expires", type=options.Day(), required=True, help="The last day on which it holds, at most 365 days ahead."
)
@click.option("--granted", type=options.Day(), help="The first day on which it holds; default: today.")
@click.option("--at-value", type=float, help="Accept this value: the gate closes again if the metric gets worse.")
def waive(
    spec: Path, check: str, reason: str, owner: str, expires: dt.date, granted: dt.date | None, at_value: float | None
) -> None:
    """Accept CHECK of SPEC as it is, until a day, in somebody's name.

    The waiver is added to the spec's text; comments and layout stay. An error cannot be waived, only a fail or an
    inconclusive.
    """
    from auditor.audit.prepare import read_spec
    from auditor.cli.yaml_edit import with_waiver
    from auditor.errors import UsageError

    granted = granted or dt.date.today()
    _refuse_bad_dates(granted, expires)
    for name, text in (("--reason", reason), ("--owner", owner)):
        if not text.strip():
            raise UsageError(f"{name} is empty", remedy="a waiver is signed: somebody, for a reason")
    before = read_spec(spec)
    if check not in before.checks:
        raise UsageError(f"{spec} has no check {check!r}", remedy=_near(check, list(before.checks)))
    waiver: dict[str, str | float] = {"check": check, "reason": reason, "owner": owner}
    waiver |= {"granted": granted.isoformat(), "expires": expires.isoformat()}
    if at_value is not None:
        waiver["at_value"] = at_value
    edited = with_waiver(spec.read_text("utf-8"), waiver)
    _write(spec, edited)
    try:
        after = read_spec(spec)
        added = after.waivers[len(before.waivers) :]
        if after.waivers[: len(before.waivers)] != before.waivers or [item.check for item in added] != [check]:
            raise UsageError(
                f"the waivers of {spec} cannot be edited: an included file declares them", remedy="edit that file"
            )
    except Exception:
        _write(spec, before.text)
        raise
    say(f"{bold(check)} is waived from {granted} to {expires} by {owner}")


def _refuse_bad_dates(granted: dt.date, expires: dt.date) -> None:
    from auditor.errors import UsageError
    from auditor.gate.waivers import LONGEST

    if expires < granted:
        raise UsageError(f"--expires {expires} is before {granted}, from when it would hold")
    if expires - granted > LONGEST:
        latest = granted + LONGEST
        raise UsageError(
            f"--expires {expires} is {(expires - granted).days} days ahead; at most {LONGEST.days} are allowed",
            remedy=f"the latest is {latest}",
        )


def _near(check: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(check, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known[:12])}"


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(part, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        os.chmod(part, path.stat().st_mode & 0o777)
        os.replace(part, path.resolve())
    finally:
        part.unlink(missing_ok=True)
