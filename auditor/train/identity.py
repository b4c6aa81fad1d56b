"""What a trained model depends on, as one digest: the note carries it, and a checkpoint is used under no other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from auditor.digest import digest

if TYPE_CHECKING:
    from auditor.spec.document import Document


def read_spec(spec: Path) -> Document:
    from auditor.checks.registry import discover
    from auditor.spec import load

    return load(spec, discover())


def training_digest(spec: Path | Document, *, seed: int | None = None, epochs: int | None = None) -> str:
    """Of the model section with the architecture's source, the training data's content, the recipe with the class sets
    it may name, and the seed. `seed` and `epochs` replace the spec's. Loads neither torch nor weights.
    """
    from auditor.sources import manifests
    from auditor.sources.model_identity import architecture_identity
    from auditor.train.subject import training_source

    document = read_spec(spec) if isinstance(spec, Path) else spec
    section, base = document.training, document.path.parent
    code = {
        name: architecture_identity(str(stated), base)
        for name, stated in (
            ("architecture", document.model.architecture),
            ("recipe", None if section is None else section.recipe),
        )
        if stated is not None
    }
    name = training_source(document)
    return digest(
        {
            "model": document.model,
            "code": code,
            "train": manifests(document.data, document.model, base=base)[name].identity(),
            "training": section,
            "sets": document.sets,
            "seed": document.defaults.seed if seed is None else seed,
            "epochs": epochs or (None if section is None else section.epochs),
        }
    )
