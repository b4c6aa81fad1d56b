"""A stand-in for the spec's `SourceSection`: the attributes a reader asks for, nothing more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Source:
    path: str
    rows: str | None = None
    columns: tuple[str, ...] | None = None
    label: str | None = None
    features: tuple[str, ...] | None = None
    encodings: dict[str, Any] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    sha256: str | None = None
