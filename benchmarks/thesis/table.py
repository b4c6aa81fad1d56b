"""Thesis table 7.3 from our own nets: trains the four EuroSAT models, proves their VRA, sets it beside the thesis's.

    AUDITOR_DATA=FOLDER python -m benchmarks.thesis.table -o FOLDER [--seeds 1 2 3] [--device auto]
        [--epochs 200] [--rows N] [--small] [--precision bfloat16] [--minutes M]

FOLDER keeps every model with its note; what is there already is not trained again, and a training that was stopped,
or killed, goes on from its checkpoint. After `--minutes` it stops by itself at the end of an epoch, exits with 3 and
says what is missing; the same command goes on. Data are read once for all models. `--epochs`, `--rows` (of the
training set; the test set keeps half as many) and `--small` (a narrow network on averaged 16×16 images) scale the
study down, and the table says so. On two busy CPU cores `--small --rows 2000 --epochs 25` took a minute a model.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent


class Figures(NamedTuple):
    """Shares of the test rows."""

    vra: float
    rejection: float
    clean: float


THESIS = {
    "standard": Figures(0.749, 0.204, 0.862),
    "rt3": Figures(0.908, 0.073, 0.987),
    "highway_river": Figures(0.798, 0.170, 0.917),
    "highway_river_agriculture": Figures(0.819, 0.151, 0.930),
}


def scaled_spec(name: str, options: argparse.Namespace) -> Path:
    """The spec `name`, or one in the output folder that includes it and scales it down."""
    whole = HERE / f"{name}.yaml"
    if not (options.rows or options.small or options.precision):
        return whole
    laid_on: dict[str, Any] = {"auditor": 1, "name": f"table-7.3-{name}-scaled", "include": [str(whole.resolve())]}
    if options.rows:
        parts = {"train": options.rows, "test": options.rows // 2}
        laid_on["data"] = {
            part: {"path": f"data/eurosat/{part}.parquet", "rows": f":{count}"} for part, count in parts.items()
        }
    if options.small:
        laid_on["model"] = {"architecture": f"{(HERE / 'networks.py').resolve()}:pooled"}
    if options.precision:
        laid_on["training"] = {"precision": options.precision}
    spec = options.output / f"{name}.yaml"
    spec.write_text(json.dumps(laid_on, indent=1), "utf-8")
    return spec


def reading_once() -> Callable[..., Any]:
    """`rows_of` with a memory: the four specs name the same rows."""
    from auditor.train.subject import rows_of

    kept: dict[str, Any] = {}

    def read(document: Any, source: str, rows: str | None = None) -> Any:
        stated = f"{document.data[source]!r} {rows}"
        if stated not in kept:
            kept[stated] = rows_of(document, source, rows)
        return kept[stated]

    return read


def trained(
    name: str, seed: int, options: argparse.Namespace, read: Callable[..., Any], until: float
) -> dict[str, Any]:
    """The note of the model, which is trained unless it is there."""
    from auditor.train import note_path, train, training_digest
    from auditor.train.identity import read_spec

    spec, model = scaled_spec(name, options), options.output / f"{name}-{seed}.safetensors"
    note = note_path(model)
    if model.exists() and note.exists():
        kept = json.loads(note.read_text("utf-8"))
        if kept["digest"] == training_digest(read_spec(spec), seed=seed, epochs=options.epochs):
            return kept
    return train(spec, model, seed=seed, device=options.device, epochs=options.epochs, read=read, until=until)


def figures(note: dict[str, Any]) -> Figures:
    found = note["measured"]["test"]
    return Figures(found["vra"], found["rejection_rate"], found["clean_accuracy"])


def table(notes: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> str:
    """Mean and standard deviation over the seeds, beside the thesis's."""
    one = next(iter(notes.values()))[0]
    network = "a narrow net on averaged 16×16 images" if options.small else "the net of B.5"
    layers = f", layers in {options.precision}" if options.precision else ""
    train, test = (one["measured"][part]["rows"] for part in ("train", "test"))
    seeds = sorted({note["seed"] for made in notes.values() for note in made})
    lines = [
        f"{date.today()}, {one['device']['name']}: {network}, {one['epochs']} epochs{layers}, {train} training and "
        f"{test} test rows, seeds {', '.join(map(str, seeds))}. VRA is proved, ε 0.141; in brackets the thesis (the "
        "net of B.5, 200 epochs, 18,000 training rows, ten seeds).",
        "",
        "| guarantee | VRA | rejected | clean accuracy | seconds a model |",
        "|---|---|---|---|---|",
    ]
    for name, made in notes.items():
        columns = [list(column) for column in zip(*(figures(note) for note in made), strict=True)]
        cells = [f"{_spread(ours)} ({theirs:.3f})" for ours, theirs in zip(columns, THESIS[name], strict=True)]
        seconds = statistics.mean(note["seconds"] for note in made)
        lines.append(f"| {name.replace('_', '+')} | {' | '.join(cells)} | {seconds:,.0f} |")
    return "\n".join(lines) + "\n"


def _spread(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--models", nargs="+", choices=THESIS, default=list(THESIS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--precision", choices=("float32", "bfloat16"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, default=math.inf)
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    options.output.mkdir(parents=True, exist_ok=True)
    notes: dict[str, list[dict[str, Any]]] = {}
    missing = [(name, seed) for seed in options.seeds for name in options.models]

    from auditor.errors import Interrupted

    read = reading_once()
    try:
        while missing:
            name, seed = missing[0]
            notes.setdefault(name, []).append(trained(name, seed, options, read, until))
            (options.output / "table.md").write_text(table(notes, options), "utf-8")
            missing.pop(0)
    except Interrupted as stopped:
        left = ", ".join(f"{name}-{seed}" for name, seed in missing)
        print(f"{stopped}; to do: {left}; the same command goes on", file=sys.stderr)
        raise SystemExit(3) from None
    print(table(notes, options))


if __name__ == "__main__":
    main()
