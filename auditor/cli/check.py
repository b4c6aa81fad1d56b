"""`auditor check`: the audit, its progress, its verdict."""

from __future__ import annotations

import datetime as dt
import signal
import sys
from pathlib import Path
from typing import Any

import click

from auditor.cli import options
from auditor.cli.lazy import CONTEXT


@click.command(context_settings=CONTEXT)
@click.argument("spec", type=options.SPEC)
@click.argument("model", type=options.SPEC)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The output folder; default: reports/NAME-DIGEST.",
)
@options.formats
@options.select
@options.exclude
@options.device
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Workers on this machine.")
@click.option("--ray", hidden=True)
@options.seed
@click.option(
    "--time-budget",
    type=options.Duration(),
    metavar="TIME",
    help="Stop after, e.g., 30m; what is not done is inconclusive.",
)
@options.baseline
@click.option("--no-cache", is_flag=True, help="Compute everything anew.")
@click.option("--no-gate", is_flag=True, help="State the verdict but exit 0 whatever it is.")
@options.unsafe
@options.as_of
@click.option("-q", "--quiet", is_flag=True, help="Only the verdict and where the reports are.")
@click.option("-v", "--verbose", is_flag=True, help="Every task, and the reasons of every finding.")
def check(
    spec: Path,
    model: Path,
    out: Path | None,
    formats: tuple[str, ...] | None,
    select: str | None,
    exclude: str | None,
    device: str,
    jobs: int,
    ray: str | None,
    seed: int | None,
    time_budget: float | None,
    baseline: Path | None,
    no_cache: bool,
    no_gate: bool,
    allow_unsafe_load: bool,
    as_of: dt.date | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Audit MODEL as SPEC says, and exit 0 only if the gate opens.

    Exit codes: 0 passed, 1 blocked, 2 usage or spec, 3 model or data, 4 blocked by errors alone, 5 results saved but a
    format could not be rendered, 130 interrupted. A second run computes only what changed.
    """
    if ray is not None:
        from auditor.errors import NotAvailable

        raise NotAvailable("--ray comes later", remedy="use --jobs or --device cuda:0,cuda:1 on one machine")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if quiet and verbose:
        raise click.UsageError("-q and -v exclude each other")
    from auditor.audit.conduct import Options, conduct
    from auditor.cli.annotations import annotate
    from auditor.cli.failure import command
    from auditor.cli.verdict import header, show
    from auditor.gate import Exit, worst

    if not quiet:
        header(spec, model)
    listener = _progress(quiet=quiet, verbose=verbose)
    try:
        audited = conduct(
            spec,
            model,
            Options(
                device=device,
                select=select,
                exclude=exclude,
                jobs=jobs,
                seed=seed,
                time_budget=time_budget,
                baseline=baseline,
                cache=not no_cache,
                gate=not no_gate,
                allow_unsafe_load=allow_unsafe_load,
                as_of=as_of,
                formats=formats,
                out=out,
                command=command(click.get_current_context().find_root().obj or ()),
            ),
            listeners=[] if listener is None else [listener],
        )
    finally:
        if listener is not None:
            listener.close()
    show(audited, quiet=quiet, verbose=verbose)
    annotate(audited.results)
    gated = Exit.PASSED if no_gate else Exit(audited.results.verdict.exit_code)
    return worst([gated, *([Exit.NOT_RENDERED] if audited.unrendered else [])])


def _progress(*, quiet: bool, verbose: bool) -> Any:
    """A bar on a terminal; in a log, lines only if asked for. None where nothing is to be shown."""
    from auditor.run.terminal import Lines, terminal_listener

    if quiet:
        return None
    if verbose:
        return Lines(sys.stderr)
    return terminal_listener(sys.stderr) if sys.stderr.isatty() else None
