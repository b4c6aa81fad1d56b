"""Readers of older formats: each step turns one version's JSON into the next's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from auditor.errors import RecordError

FORMAT: Literal["auditor-results/1"] = "auditor-results/1"

STEPS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From a format to the function that turns it into its successor. Version 1 is the first, so there is none yet."""


def upgrade(document: Any) -> dict[str, Any]:
    """The document in today's format. Raises RecordError for a format this version does not know."""
    if not isinstance(document, dict) or "format" not in document:
        raise RecordError("the file has no `format` key, so it is not an auditor results file")
    while document["format"] != FORMAT:
        step = STEPS.get(document["format"])
        if step is None:
            raise RecordError(
                f"format {document['format']!r} is not known to this version, which reads {FORMAT!r}",
                remedy="upgrade auditor, or run `auditor check` again",
            )
        document = step(document)
    return document
