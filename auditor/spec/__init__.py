"""The spec language: YAML in, a document of typed checks out, or every mistake with its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditor.spec.check import Check

if TYPE_CHECKING:
    from pathlib import Path

    from auditor.spec.document import Document


def load(path: Path, types: Mapping[str, type[Check]]) -> Document:
    """The spec in file `path`, whose checks are of `types`. Raises SpecErrors with every problem found."""
    from auditor.spec.loading import load as read

    return read(path, types)


def schema(types: Mapping[str, type[Check]]) -> dict[str, Any]:
    """The JSON Schema of specs, for editors."""
    from auditor.spec.json_schema import schema as of_types

    return of_types(types)


__all__ = ["Check", "load", "schema"]
