"""`auditor report`: a finished run, rendered again."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli import options
from auditor.cli.lazy import CONTEXT
from auditor.cli.terminal import dim, say


@click.command(context_settings=CONTEXT)
@click.argument("run", type=options.RUN)
@options.formats
def report(run: Path, formats: tuple[str, ...] | None) -> int:
    """Render the results in folder RUN again, from its files alone: no model, no torch.

    Exit 5 if a format could not be rendered.
    """
    from auditor.audit.rendering import render_each, wanted
    from auditor.records import Results

    results = Results.read(run)
    folder = run if run.is_dir() else run.parent
    rendered, unrendered = render_each(folder, wanted(formats, results.scope.report.get("formats")))
    for path in rendered:
        say(str(path))
    for error in unrendered:
        say(f"{click.style('not rendered:', fg='red', bold=True)} {error.what}", err=True)
        if error.remedy:
            say(f"  {dim(error.remedy)}", err=True)
    return 5 if unrendered else 0
