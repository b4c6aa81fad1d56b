"""`auditor list`: what a spec may name."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli import options
from auditor.cli.lazy import CONTEXT
from auditor.cli.terminal import bold, dim, paragraph, say


@click.group(name="list", context_settings=CONTEXT)
def listing() -> None:
    """List what a spec may name."""


@listing.command(context_settings=CONTEXT)
def checks() -> None:
    """Every check type: its claim, and whether this version can run it."""
    from auditor.checks.registry import discover

    for name, kind in sorted(discover().items()):
        later = dim("  comes later") if getattr(kind, "experimental", False) else ""
        say(f"{bold(name)}{later}")
        paragraph(" ".join((kind.__doc__ or "").split("\n\n")[0].split()))


@listing.command(context_settings=CONTEXT)
@click.argument("type", required=False)
def metrics(type: str | None) -> None:
    """The metrics that `require` and `budget` may name, per check TYPE."""
    import difflib

    from auditor.checks.registry import discover
    from auditor.errors import UsageError

    types = discover()
    if type is not None and type not in types:
        near = difflib.get_close_matches(type, types, n=1)
        raise UsageError(
            f"no check type {type!r}", remedy=f"did you mean {near[0]}?" if near else "see: auditor list checks"
        )
    for name, kind in sorted(types.items()):
        if type in (None, name):
            say(bold(name))
            longest = max((len(metric) for metric in kind.metrics), default=0)
            for metric, meaning in kind.metrics.items():
                paragraph(f"{metric.ljust(longest)}  {meaning}", follow=" " * (longest + 4))


@listing.command(context_settings=CONTEXT)
@click.argument("spec", type=options.SPEC)
def sets(spec: Path) -> None:
    """The class sets of SPEC, written out."""
    from auditor.audit.prepare import read_spec

    declared = read_spec(spec).sets
    if not declared:
        say(dim(f"{spec} declares no sets"))
    for name, collection in declared.items():
        say(f"{bold(name)}  {dim(f'{len(collection)} sets')}")
        for one in collection:
            paragraph("{" + ", ".join(one) + "}", follow="    ")
