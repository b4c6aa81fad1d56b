"""`auditor schema`: the spec language for editors."""

from __future__ import annotations

import json

import click

from auditor.cli.lazy import CONTEXT


@click.command(context_settings=CONTEXT)
def schema() -> None:
    """Print the JSON Schema of specs, of every check type that is installed.

    Point an editor at it: `# yaml-language-server: $schema=spec.schema.json` as a spec's first line.
    """
    from auditor.checks.registry import discover
    from auditor.spec import schema as of_types

    click.echo(json.dumps(of_types(discover()), indent=1, ensure_ascii=False))
