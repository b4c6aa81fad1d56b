"""What a reader needs to know of a source, whoever declares it: the spec's `SourceSection` has these attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Section(Protocol):
    """One entry of a spec's `data`."""

    @property
    def path(self) -> str: ...
    @property
    def rows(self) -> str | None: ...
    @property
    def columns(self) -> Sequence[str] | None: ...
    @property
    def label(self) -> str | None: ...
    @property
    def features(self) -> Sequence[str] | None: ...
    @property
    def encodings(self) -> Mapping[str, Any]: ...
    @property
    def attributes(self) -> Sequence[str]: ...
    @property
    def sha256(self) -> str | None: ...
