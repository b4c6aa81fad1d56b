"""SHA-256 of files, each computed once per process while the file stays as it is.

A digest is remembered under the file's device, inode, size, and modification and change times, in nanoseconds. The
change time is the kernel's, and no program can set it back, so a rewritten file gets a new key. A file that changed
within the last two seconds is hashed again: another write might fall within the resolution of its times."""

from __future__ import annotations

import os
import time
from pathlib import Path

from auditor.digest import digest, file_digest

SETTLED = 2.0

_known: dict[tuple[int, ...], str] = {}


def _key(path: Path) -> tuple[int, ...]:
    status = os.stat(path)
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def content_digest(path: Path | str) -> str:
    """SHA-256 of a file's bytes, as `sha256sum` prints it."""
    path = Path(path)
    key = _key(path)
    if key in _known:
        return _known[key]
    value = file_digest(path)
    if key == _key(path) and time.time() - max(key[3], key[4]) / 1e9 > SETTLED:
        _known[key] = value
    return value


def files_digest(files: dict[str, Path]) -> str:
    """SHA-256 over the names and contents of several files: order of the mapping does not matter."""
    return digest({name: content_digest(path) for name, path in files.items()})
