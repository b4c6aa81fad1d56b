"""Identity by content: canonical JSON of values, SHA-256 of values and files."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import hashlib
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHUNK = 1 << 20


def jsonable(value: Any) -> Any:
    """`value` as plain JSON types; non-finite floats become the strings "inf", "-inf" and "nan".

    An object that offers `identity()` is represented by what that returns, so a file may be known by its hash and
    not by its path. Mappings must have string keys. Raises TypeError for anything that has no canonical form.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, enum.Enum):
        return jsonable(value.value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan")
    if hasattr(value, "identity") and not isinstance(value, type):
        return jsonable(value.identity())
    if hasattr(value, "model_dump"):
        return jsonable(value.model_dump(mode="python", by_alias=True))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"keys of {value!r} must be strings to have a canonical form")
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, (frozenset, set)):
        return sorted((jsonable(item) for item in value), key=canonical_json)
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, Path):
        return value.as_posix()
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return jsonable(value.item())  # pyright: ignore[reportAttributeAccessIssue]
    raise TypeError(f"{type(value).__name__} has no canonical JSON form")


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: equal values give equal bytes."""
    text = json.dumps(jsonable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def file_digest(path: Path | str) -> str:
    """SHA-256 of a file's bytes, read in chunks."""
    state = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            state.update(chunk)
    return state.hexdigest()


def content_digest(path: Path | str) -> str:
    """SHA-256 of a file's bytes, computed once per process while the file stays as it is.

    It is remembered under the file's device, inode, size, and modification and change times in nanoseconds. The change
    time is the kernel's, and no program can set it back, so a rewritten file is hashed again; so is one that changed
    within the last two seconds, as another write might fall within the resolution of its times.
    """
    key = _file_key(path)
    if key in _known_files:
        return _known_files[key]
    value = file_digest(path)
    if key == _file_key(path) and time.time() - max(key[3], key[4]) / 1e9 > SETTLED_AFTER:
        _known_files[key] = value
    return value


SETTLED_AFTER = 2.0
_known_files: dict[tuple[int, ...], str] = {}


def _file_key(path: Path | str) -> tuple[int, ...]:
    status = os.stat(path)
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def tree_digest(folder: Path | str) -> str:
    """SHA-256 over the relative paths and contents of all files below `folder`."""
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest([[path.relative_to(folder).as_posix(), file_digest(path)] for path in files])
