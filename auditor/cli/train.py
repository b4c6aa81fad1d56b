"""`auditor train`: the model that a spec declares."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from auditor.cli import options
from auditor.cli.lazy import CONTEXT


@click.command(context_settings=CONTEXT)
@click.argument("spec", type=options.SPEC)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="MODEL",
    help="The model file.",
)
@options.seed
@options.device
@click.option("--epochs", type=click.IntRange(1), help="In place of the spec's.")
def train(spec: Path, out: Path, seed: int | None, device: str, epochs: int | None) -> None:
    """Train what SPEC's `training` declares, and write the weights to MODEL, a note on how beside them.

    Stopped or killed, the same command goes on from the last epoch kept, to the weights it would have reached.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from auditor.train import train as run

    run(spec, out, seed=seed, device=device, epochs=epochs)
