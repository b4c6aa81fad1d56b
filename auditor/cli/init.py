"""`auditor init`: a first spec that can be validated, trained and audited at once."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.lazy import CONTEXT
from auditor.cli.terminal import bold, dim, mark, say

EXAMPLES = {
    "digits": "handwritten digits, 8x8, embedded: nothing to download",
    "eurosat": "land use from Sentinel-2 patches; the data is yours to bring",
    "tabular": "breast cancer, 30 measurements, embedded: nothing to download",
}


@click.command(context_settings=CONTEXT)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option(
    "--example", type=click.Choice(list(EXAMPLES)), default="digits", show_default=True, help="What to start from."
)
def init(directory: Path, example: str) -> None:
    """Write a first spec, a CI workflow and a .gitignore into DIRECTORY. Nothing that exists is touched."""
    spec, model = f"specs/{example}.yaml", f"models/{example}.pt"
    for target, text in files(example, spec, model).items():
        say(f"{mark('pass')} {target}" if _write(directory / target, text) else dim(f"  {target} exists and is kept"))
    say()
    say(f"{EXAMPLES[example]}. Next:")
    steps = [f"auditor validate {spec}", f"auditor train {spec} -o {model}", f"auditor check {spec} {model}"]
    for step in [*([f"cd {directory}"] if directory != Path() else []), *steps]:
        say(f"  {bold(step)}")


def files(example: str, spec: str, model: str) -> dict[str, str]:
    """Text by path below the directory."""
    from auditor.resources import resource

    workflow = resource("templates", "init", "audit.yml").read_text("utf-8")
    return {
        spec: resource("specs", f"{example}.yaml").read_text("utf-8"),
        f"examples/{example}/model.py": resource("examples", example, "model.py").read_text("utf-8"),
        ".github/workflows/audit.yml": workflow.replace("@SPEC@", spec).replace("@MODEL@", model),
        ".gitignore": resource("templates", "init", "gitignore").read_text("utf-8"),
    }


def _write(path: Path, text: str) -> bool:
    """Whether it was written: an existing file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(path, "x", encoding="utf-8", newline="") as stream:
            stream.write(text)
    except FileExistsError:
        return False
    return True
