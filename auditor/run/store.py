"""The store: results of tasks in a folder, each under the digest of all it depends on.

    <root>/1/<first two digits>/<digest>/entry.json     op, version, seconds, SHA-256 of the files beside it
                                        value.json     the value's skeleton (see codec)
                                        tensors.safetensors  arrays.safetensors  <key>.parquet
    <root>/1/tmp/                                      entries being written or removed
    <root>/1/timings.jsonl                             what each task took, for estimates

An entry appears by one rename, so a reader sees all of it or nothing, however the writer died. It is trusted only if
every file has the hash that `entry.json` states; anything else counts as absent and is computed again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from auditor.digest import file_digest
from auditor.errors import RecordError
from auditor.plan.estimate import Timing
from auditor.plan.machine import kind_of
from auditor.plan.task import Task
from auditor.run.codec import Encoded, decode

FORMAT = "1"
TIMINGS = 1 << 19
"""Bytes of the list of timings that are looked at."""
ABANDONED = 24 * 3600.0
"""Seconds after which `gc` takes a half-written entry for the remains of a killed process."""


@dataclass(frozen=True)
class Entry:
    """What the store knows of a result besides its value. `used` is when it was last read, in seconds since 1970."""

    digest: str
    op: str
    version: int
    device: str
    seconds: float
    rows: int | None
    halvings: int
    nbytes: int
    used: float


class Store:
    """Results under `root`, which is made when the first one is written. Safe to share between processes."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = default_root() if root is None else Path(root)
        self._entries = self.root / FORMAT
        self._work = self._entries / "tmp"

    def has(self, digest: str) -> bool:
        """Whether there is an entry. Its integrity is checked when it is read."""
        return (self._folder(digest) / "entry.json").is_file()

    def read(self, task: Task) -> Any:
        """The value of `task`. Raises RecordError where the entry is absent, damaged, or not of this version."""
        folder = self._folder(task.digest)
        try:
            header = json.loads((folder / "entry.json").read_bytes())
            _verify(folder, header)
            value = decode(_load(folder, header["files"]), modules=[task.op.function.__module__])
        except RecordError:
            raise
        except Exception as error:
            # Each library has errors of its own for a file that is damaged, or that another process is replacing.
            raise RecordError(f"store entry {task.digest[:12]} cannot be read: {error}") from None
        with contextlib.suppress(OSError):
            os.utime(folder)
        return value

    def write(self, task: Task, parts: Encoded, *, seconds: float, device: str = "cpu", halvings: int = 0) -> None:
        """Adds the value of `task`, in the place of an earlier one if there is one."""
        self._work.mkdir(parents=True, exist_ok=True)
        _ignore_by_git(self.root)
        folder = self._work / uuid.uuid4().hex
        folder.mkdir()
        try:
            _save(folder, parts)
            header = {
                "digest": task.digest,
                "op": task.op.name,
                "version": task.op.version,
                "device": device,
                "seconds": seconds,
                "rows": task.rows,
                "halvings": halvings,
                "files": {file.name: file_digest(file) for file in sorted(folder.iterdir())},
            }
            (folder / "entry.json").write_text(json.dumps(header, indent=1), "utf-8")
            self._publish(folder, self._folder(task.digest))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def timings(self) -> list[Timing]:
        """What earlier tasks took on this store, the latest last; at most the last few thousand."""
        try:
            with open(self._entries / "timings.jsonl", "rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - TIMINGS))
                lines = stream.read().splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            try:
                found.append(Timing(**json.loads(line)))
            except (ValueError, TypeError):
                continue
        return found

    def record_timing(self, task: Task, seconds: float, device: str) -> None:
        """Adds to `timings` what computing `task` took, whether its value is kept or not."""
        self._entries.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"op": task.op.name, "device": kind_of(device), "rows": task.rows, "seconds": seconds})
        with open(self._entries / "timings.jsonl", "a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def entry(self, digest: str) -> Entry | None:
        """What is known of the entry, None where there is none that can be read."""
        folder = self._folder(digest)
        try:
            header = json.loads((folder / "entry.json").read_bytes())
            nbytes = sum(file.stat().st_size for file in folder.iterdir())
            fields = {key: header[key] for key in ("op", "version", "device", "seconds", "rows", "halvings")}
            return Entry(digest=digest, nbytes=nbytes, used=folder.stat().st_mtime, **fields)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def ls(self) -> Iterator[Entry]:
        """All entries, in the order of their digests."""
        for folder in sorted(self._entries.glob("[0-9a-f][0-9a-f]/*")):
            entry = self.entry(folder.name)
            if entry is not None:
                yield entry

    def size(self) -> int:
        """Bytes in all files below the root."""
        return sum(file.stat().st_size for file in self.root.rglob("*") if file.is_file())

    def remove(self, digest: str) -> None:
        """Takes the entry away in one step."""
        self._work.mkdir(parents=True, exist_ok=True)
        grave = self._work / uuid.uuid4().hex
        try:
            os.rename(self._folder(digest), grave)
        except FileNotFoundError:
            return
        shutil.rmtree(grave, ignore_errors=True)

    def gc(self, *, older_than: float | None = None, max_size: int | None = None) -> list[Entry]:
        """Removes entries not read for `older_than` seconds, then the longest unread until `max_size` bytes are left.

        Entries that cannot be read and what killed processes left behind go too. Returns what was removed.
        """
        now = time.time()
        for folder in self._work.glob("*"):
            if now - folder.stat().st_mtime > ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)
        for folder in self._entries.glob("[0-9a-f][0-9a-f]/*"):
            if self.entry(folder.name) is None:
                self.remove(folder.name)
        entries = sorted(self.ls(), key=lambda entry: (entry.used, entry.digest))
        left = sum(entry.nbytes for entry in entries)
        removed = []
        for entry in entries:
            old = older_than is not None and now - entry.used > older_than
            if old or (max_size is not None and left > max_size):
                self.remove(entry.digest)
                removed.append(entry)
                left -= entry.nbytes
        return removed

    def as_dicts(self) -> list[dict[str, Any]]:
        """`ls` as plain JSON."""
        return [asdict(entry) for entry in self.ls()]

    def _folder(self, digest: str) -> Path:
        return self._entries / digest[:2] / digest

    def _publish(self, folder: Path, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(100):
            try:
                os.rename(folder, place)
                return
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                self.remove(place.name)
        raise RecordError(f"store entry {place.name[:12]} cannot be replaced", remedy=f"remove {place}")


def default_root() -> Path:
    """The folder that AUDITOR_CACHE names, else `.auditor/store` in the working directory."""
    named = os.environ.get("AUDITOR_CACHE")
    return Path(named) if named else Path(".auditor") / "store"


def _verify(folder: Path, header: dict[str, Any]) -> None:
    for name, expected in header["files"].items():
        if Path(name).name != name or file_digest(folder / name) != expected:
            raise RecordError(f"store entry {folder.name[:12]}: {name} is damaged")


def _save(folder: Path, parts: Encoded) -> None:
    skeleton = json.dumps(parts.skeleton, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    (folder / "value.json").write_text(skeleton, "utf-8")
    if parts.tensors:
        import safetensors.torch

        safetensors.torch.save_file(parts.tensors, folder / "tensors.safetensors")
    if parts.arrays:
        import safetensors.numpy

        safetensors.numpy.save_file(parts.arrays, folder / "arrays.safetensors")
    if parts.tables:
        import pyarrow.parquet

        for key, table in parts.tables.items():
            pyarrow.parquet.write_table(table, folder / f"{key}.parquet")


def _load(folder: Path, files: dict[str, str]) -> Encoded:
    tensors, arrays, tables = {}, {}, {}
    if "tensors.safetensors" in files:
        import safetensors.torch

        tensors = safetensors.torch.load_file(folder / "tensors.safetensors")
    if "arrays.safetensors" in files:
        import safetensors.numpy

        arrays = safetensors.numpy.load_file(folder / "arrays.safetensors")
    names = [name for name in files if name.endswith(".parquet")]
    if names:
        import pyarrow.parquet

        tables = {name.removesuffix(".parquet"): pyarrow.parquet.read_table(folder / name) for name in names}
    return Encoded(json.loads((folder / "value.json").read_bytes()), tensors, arrays, tables)


def _ignore_by_git(root: Path) -> None:
    marker = root / ".gitignore"
    if not marker.exists():
        marker.write_text("*\n", "utf-8")
