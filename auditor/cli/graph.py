"""`auditor graph`: the graph of tasks, drawn."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli import options
from auditor.cli.lazy import CONTEXT

FORMATS = ("mermaid", "dot", "svg", "json")


@click.command(context_settings=CONTEXT)
@click.argument("spec", type=options.SPEC)
@click.argument("model", type=options.SPEC, required=False)
@click.option("--format", "drawn_as", type=click.Choice(FORMATS), default="mermaid", show_default=True)
@options.select
@options.exclude
@options.device
def graph(spec: Path, model: Path | None, drawn_as: str, select: str | None, exclude: str | None, device: str) -> None:
    """Draw the tasks that SPEC compiles to. With MODEL, tasks whose results are in the store look done."""
    from auditor.audit.prepare import prepare
    from auditor.plan.drawing import draw
    from auditor.run import Store

    plan = prepare(spec, model, device=device, select=select, exclude=exclude).plan
    click.echo(draw(plan, drawn_as, cached=Store().has if model is not None else lambda digest: False))
