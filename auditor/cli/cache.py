"""`auditor cache`: the store of results."""

from __future__ import annotations

import time

import click

from auditor.cli import options
from auditor.cli.lazy import CONTEXT
from auditor.cli.terminal import bold, dim, fit, say, seconds, size, width


@click.group(context_settings=CONTEXT)
def cache() -> None:
    """The store of results, in .auditor/store or where AUDITOR_CACHE says."""


@cache.command(context_settings=CONTEXT)
def ls() -> None:
    """Every kept result: op, size, what it took, how long ago it was read."""
    from auditor.run import Store

    store = Store()
    entries = sorted(store.ls(), key=lambda entry: entry.used, reverse=True)
    columns = width() - 48
    if entries:
        say(dim(f"{'digest':12}  {'op'.ljust(columns)} {'size':>8}  {'took':>10}  read ago"))
    for entry in entries:
        age = seconds(max(0.0, time.time() - entry.used))
        name = fit(entry.op.rpartition(":")[2], columns)
        say(f"{dim(entry.digest[:12])}  {name} {size(entry.nbytes):>8}  {seconds(entry.seconds):>10}  {dim(age)}")
    total = size(sum(entry.nbytes for entry in entries))
    say(f"{bold(str(len(entries)))} result{'' if len(entries) == 1 else 's'}, {total}, in {store.root}")


@cache.command(context_settings=CONTEXT)
@click.option("--older-than", type=options.Duration(), metavar="TIME", help="Not read for so long, e.g. 30d.")
@click.option(
    "--max-size", type=options.Size(), metavar="SIZE", help="Then the longest unread, until this is left, e.g. 2GB."
)
def gc(older_than: float | None, max_size: int | None) -> None:
    """Remove kept results. Without options, only what cannot be read and what killed runs left behind."""
    from auditor.run import Store

    store = Store()
    removed = store.gc(older_than=older_than, max_size=max_size)
    count = len(removed)
    say(f"removed {count} result{'' if count == 1 else 's'}, {size(sum(entry.nbytes for entry in removed))}")
