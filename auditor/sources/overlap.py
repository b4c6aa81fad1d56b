"""Rows that two sources with different roles share: whoever is both member and non-member makes an attack
meaningless."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from auditor.errors import DataError
from auditor.sources.manifest import Manifest
from auditor.sources.reading import chunks
from auditor.sources.rows import as_slice

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Part:
    """Some rows of a source in a role: `member`, `non-member` or `auxiliary`. `rows` is a slice within the source."""

    name: str
    role: str
    manifest: Manifest
    rows: str | None = None

    def index(self) -> np.ndarray:
        """int64: numbers of its rows in the file."""
        return self.manifest.index()[as_slice(self.rows)]

    def __str__(self) -> str:
        return f"{self.role} source {self.name!r}" + (f" rows {self.rows}" if self.rows else "")


class Overlap(NamedTuple):
    """The rows two parts share: pairs of their row numbers, each in its own file."""

    first: Part
    second: Part
    pairs: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        shown = ", ".join(f"{a} = {b}" for a, b in self.pairs[:5])
        more = ", …" if len(self.pairs) > 5 else ""
        return f"{self.first} and {self.second} share {len(self.pairs)} rows: {shown}{more}"


def overlaps(parts: Iterable[Part]) -> tuple[Overlap, ...]:
    """Every pair of parts with different roles that share rows, which are those the model sees as one input.

    Rows of one file are compared by their numbers; rows of different files by the SHA-256 of their decoded float32
    values, labels aside. Each row of the second part is named once, with the first row it equals."""
    parts = list(parts)
    fingerprints: dict[int, list[bytes]] = {}
    found = []
    for place, first in enumerate(parts):
        for second in parts[place + 1 :]:
            if first.role == second.role:
                continue
            if first.manifest.sha256 == second.manifest.sha256:
                shared = sorted(set(first.index().tolist()) & set(second.index().tolist()))
                pairs = [(row, row) for row in shared]
            else:
                pairs = _equal(first, second, fingerprints)
            if pairs:
                found.append(Overlap(first, second, tuple(pairs)))
    return tuple(found)


def refuse_overlaps(parts: Sequence[Part]) -> None:
    """Raises DataError that names the rows shared by parts with different roles."""
    if found := overlaps(parts):
        raise DataError(
            "rows overlap between sources with different roles\n    " + "\n    ".join(str(each) for each in found),
            remedy="leave these rows out of one of the two sources (`rows`), or deduplicate the files",
            code="overlap",
        )


def _equal(first: Part, second: Part, known: dict[int, list[bytes]]) -> list[tuple[int, int]]:
    for part in (first, second):
        if id(part) not in known:
            known[id(part)] = list(_fingerprints(part))
    rows: dict[bytes, int] = {}
    for row, fingerprint in zip(first.index().tolist(), known[id(first)], strict=True):
        rows.setdefault(fingerprint, row)
    pairs = zip(second.index().tolist(), known[id(second)], strict=True)
    return [(rows[fingerprint], row) for row, fingerprint in pairs if fingerprint in rows]


def _fingerprints(part: Part) -> Iterable[bytes]:
    """16 bytes a row. Adding zero turns −0 into 0, which no model tells apart."""
    for chunk in chunks(part.manifest, part.index()):
        for row in chunk + 0.0:
            yield hashlib.sha256(row.tobytes()).digest()[:16]
