"""Which format a path is, and its reader."""

from __future__ import annotations

from pathlib import Path

from auditor.errors import DataError
from auditor.lookup.code import parse_callable
from auditor.lookup.files import find
from auditor.sources.reader import Options, Reader

KINDS = "a folder of class folders, .parquet, .csv, .npz, .safetensors, .idx, sklearn:<name>, file.py:callable"


def resolve(path: str, base: Path, *, subject: str) -> Path | None:
    """The file or folder `path` means; None for embedded data and code of a package. Raises DataError if there is
    none."""
    if path.startswith("sklearn:"):
        return None
    if (target := parse_callable(path)) is not None:
        return find(target.where, base, subject=subject) if target.is_file else None
    return find(path, base, subject=subject)


def open_source(path: str, resolved: Path | None, base: Path, options: Options) -> Reader:
    """The reader of a source. Raises DataError for an unknown ending or a broken file."""
    if path.startswith("sklearn:"):
        from auditor.sources.formats.embedded import open_embedded

        return open_embedded(path, options)
    if (target := parse_callable(path)) is not None:
        from auditor.sources.formats.code import Code

        return Code(target, base, options)
    assert resolved is not None
    if resolved.is_dir():
        from auditor.sources.formats.folder import Folder

        return Folder(resolved, options)
    ending = resolved.suffix.lower()
    if ending == ".parquet":
        from auditor.sources.formats.parquet import open_parquet

        return open_parquet(resolved, options)
    if ending == ".csv":
        from auditor.sources.formats.csv import Csv

        return Csv(resolved, options)
    if ending in (".npz", ".safetensors"):
        from auditor.sources.formats.arrays import Npz, Safetensors

        return (Npz if ending == ".npz" else Safetensors)(resolved, options)
    from auditor.sources.formats.idx import Idx, is_idx

    if is_idx(resolved):
        return Idx(resolved, options)
    raise DataError(f"{path}: no reader for the ending {ending or '(none)'!r}", remedy=f"a source is {KINDS}")
