"""Where files named in a spec lie: the working directory, then the folder `AUDITOR_DATA` names, then the spec's
folder."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from auditor.errors import AuditorError, DataError

VARIABLE = "AUDITOR_DATA"


def places(path: str | Path, base: Path) -> list[tuple[str, Path]]:
    """The places where `path` is looked for, in order, each with the words a message calls it by."""
    path = Path(path).expanduser()
    if path.is_absolute():
        return [("as given", path)]
    tried = [("working directory", Path.cwd() / path)]
    if folder := os.environ.get(VARIABLE):
        tried.append((VARIABLE, Path(folder).expanduser() / path))
    tried.append(("spec's folder", Path(base) / path))
    return tried


def find(path: str | Path, base: Path, *, subject: str = "data", error: type[AuditorError] = DataError) -> Path:
    """The first of the places where `path` exists, absolute. Raises `error`, listing the places tried."""
    tried = places(path, base)
    for _, place in tried:
        if place.exists():
            return place.resolve()
    listed = "\n".join(f"    {place}  ({words})" for words, place in tried)
    close = _similar(Path(path).name, [place.parent for _, place in tried])
    hint = f"did you mean {close!r}? " if close else ""
    unset = "" if VARIABLE in os.environ else f", or set {VARIABLE} to the folder that relative paths start from"
    raise error(
        f"{subject} {str(path)!r} does not exist; tried\n{listed}",
        remedy=f"{hint}correct the path{unset}",
        code="missing-file",
    )


def _similar(name: str, folders: list[Path]) -> str | None:
    beside = [entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir()]
    return next(iter(difflib.get_close_matches(name, beside, n=1)), None)
