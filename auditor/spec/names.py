"""Names that a spec must have declared: of a class, a class set, a data source.

Inside the loader each is checked against the document as it is read (pydantic's validation context, a `Declared`).
Built in Python without that context, any string passes; the plan then raises KeyError for a name nobody declared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from auditor.spec.problem import problem, suggestion


@dataclass(frozen=True)
class Declared:
    """What the document declares so far. None: that part is broken itself, so names of it are not judged."""

    classes: Collection[str] | None = None
    sets: Collection[str] | None = None
    sources: Collection[str] | None = None


def _known(code: str, noun: str, part: Callable[[Declared], Collection[str] | None]) -> Callable[..., str]:
    def check(name: str, info: ValidationInfo) -> str:
        known = part(info.context) if isinstance(info.context, Declared) else None
        if known is not None and name not in known:
            raise problem(code, f"no {noun} is named {name!r}", remedy=suggestion(name, known))
        return name

    return check


ClassName = Annotated[str, AfterValidator(_known("unknown-class", "class", lambda declared: declared.classes))]
"""A class of `model.classes`; `build.class_index(name)` is its index."""

SetName = Annotated[str, AfterValidator(_known("unknown-set", "class set", lambda declared: declared.sets))]
"""A collection of `sets`; `build.class_sets(name)` holds its sets as class indices."""

SourceName = Annotated[str, AfterValidator(_known("unknown-source", "data source", lambda declared: declared.sources))]
"""A source of `data`."""
