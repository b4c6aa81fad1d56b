"""The subject of an audit, from the spec's sections and the model file. Loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import HashMismatch
from auditor.plan import Subject
from auditor.spec.document import Document, ModelSection

if TYPE_CHECKING:
    from auditor.sources import Manifest


@dataclass(frozen=True)
class ModelOnDisk:
    """The audited model before it is loaded (`auditor.plan.subject.Model`). `base` is the spec's folder.

    Its identity is checked against the spec's pin, since a run that finds everything in the store loads nothing; and
    results of a model that only --allow-unsafe-load lets in are not found without it.
    """

    section: ModelSection
    file: Path
    base: Path
    allow_unsafe: bool = False

    @cached_property
    def _identity(self) -> Any:
        if not self.file.exists():
            return {"weights": None}
        from auditor.sources import model_identity

        found = model_identity(self.section, self.file, self.base)
        pinned = self.section.sha256
        if pinned is not None and found["weights"] != pinned.lower():
            raise HashMismatch(
                f"model file {self.file} has SHA-256 {found['weights']}, the spec pins {pinned}",
                remedy="audit the file that was pinned, or pin the new one if it is meant",
            )
        return {**found, "unsafe": True} if self.allow_unsafe else found

    def identity(self) -> Any:
        return self._identity

    @property
    def nbytes(self) -> int | None:
        return self.file.stat().st_size if self.file.exists() else None

    def load(self, device: str) -> Any:
        from auditor.loading import load_model

        return load_model(self.section, self.file, base=self.base, device=device, allow_unsafe=self.allow_unsafe)


def subject_of(document: Document, model: ModelOnDisk, manifests: Mapping[str, Manifest]) -> Subject:
    """What the plan's builder is given: class names, shapes, sets by class index, sources and model."""
    classes = tuple(document.model.classes)
    sets = {
        name: tuple(tuple(classes.index(label) for label in one) for one in collection)
        for name, collection in document.sets.items()
    }
    training = document.training
    return Subject(
        classes=classes,
        input_shape=tuple(document.model.input.shape),
        input_range=document.model.input.range,
        model=model,
        data=manifests,
        sets=sets,
        feature_names=next((found.feature_names for found in manifests.values() if found.feature_names), None),
        training=None if training is None else training.model_dump(mode="json", exclude_none=True, by_alias=True),
        assumed=document.model.assumed,
    )
