"""`auditor validate`: is this a spec, and if not, where not."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli import options
from auditor.cli.lazy import CONTEXT
from auditor.cli.terminal import bold, dim, say


@click.command(context_settings=CONTEXT)
@click.argument("specs", type=options.SPEC, nargs=-1, required=True, metavar="SPEC...")
def validate(specs: tuple[Path, ...]) -> int:
    """Check that each SPEC can be audited: every error with file:line:column, a code and the likely fix.

    Reads specs only: neither model nor data. Exit 2 if any has an error.
    """
    from auditor.checks.registry import discover
    from auditor.cli.problems import show
    from auditor.errors import SpecErrors
    from auditor.spec import load

    types = discover()
    errors = 0
    for path in specs:
        try:
            document = load(path, types)
        except SpecErrors as error:
            show(error.problems)
            errors += len(error.problems)
            continue
        missing = [name for name, check in document.checks.items() if check.unavailable()]
        say(f"{click.style('OK', fg='green', bold=True)}  {bold(str(path))}  {counts(document)}")
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            say(dim(f"    not available in this version: {', '.join(missing[:3])}{more}"))
    if errors:
        say(bold(click.style(f"{errors} error{'' if errors == 1 else 's'}", fg="red")), err=True)
    return 2 if errors else 0


def counts(document: object) -> str:
    """ "16 checks, 3 sources, 10 classes, 1 waiver"."""
    numbered = [
        (len(document.checks), "check"),  # pyright: ignore[reportAttributeAccessIssue]
        (len(document.data), "source"),  # pyright: ignore[reportAttributeAccessIssue]
        (len(document.model.classes), "class"),  # pyright: ignore[reportAttributeAccessIssue]
        (len(document.waivers), "waiver"),  # pyright: ignore[reportAttributeAccessIssue]
    ]
    plural = {"class": "classes"}
    return ", ".join(f"{n} {noun if n == 1 else plural.get(noun, noun + 's')}" for n, noun in numbered if n)
