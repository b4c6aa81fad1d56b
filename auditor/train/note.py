"""The note beside a trained model: how it was made, in enough detail to make it again, and what it is worth."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.train.files import whole

if TYPE_CHECKING:
    from auditor.spec.document import Document

FORMAT = "auditor-training/2"


def note_path(model: Path) -> Path:
    """Where the note about a model's making lies: `model.training.json` beside `model.pt`."""
    return model.with_suffix(".training.json")


def write_note(made: dict[str, Any], document: Document, out: Path) -> dict[str, Any]:
    """Writes and returns the note: `made`, and what spec, data, weights and machine it belongs to."""
    from auditor import __version__
    from auditor.digest import content_digest
    from auditor.plan.machine import torch_version
    from auditor.sources import manifests
    from auditor.train.subject import training_source

    name = training_source(document)
    data = manifests(document.data, document.model, base=document.path.parent)[name]
    section = document.training
    note = {
        "format": FORMAT,
        "digest": made["digest"],
        "spec": {"name": document.name, "path": document.path.as_posix(), "sha256": document.sha256},
        "model": {"sha256": content_digest(out), **document.model.model_dump(mode="json", exclude_none=True)},
        "data": {"path": data.path, "sha256": data.sha256, "rows": data.rows},
        "recipe": None if section is None else section.model_dump(mode="json", by_alias=True, exclude_none=True),
        "versions": {"auditor": __version__, "torch": torch_version(), "python": platform.python_version()},
        **made,
    }
    with whole(note_path(out)) as place:
        place.write_text(json.dumps(note, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return note


def summary(note: dict[str, Any], out: Path) -> str:
    """What was made, and a line for each source: what is proved of it, or its accuracy alone."""
    from auditor.run.terminal import duration

    epochs = f"{note['epochs']} epochs in " if "epochs" in note else "trained in "
    lines = [f"{out}: {epochs}{duration(note['seconds'])}"]
    for name, found in note["measured"].items():
        line = f"  {name}: accuracy {found['accuracy']:.3f}"
        if "vra" in found:
            where = " in ℓ∞" if note["norm"] == "linf" else ""
            line += f", certified and right at ε {note['epsilon']:g}{where}: {found['vra']:.3f}"
            if note["guarantee"] != {"standard": {}}:
                line += f", rejected {found['rejection_rate']:.3f} ({_spoken(note['guarantee'])})"
        lines.append(line)
    return "\n".join(lines)


def _spoken(guarantee: dict[str, Any]) -> str:
    ((tag, value),) = guarantee.items()
    return f"top {value}" if tag == "top_k" else f"affinity, {len(value['sets'])} sets"
