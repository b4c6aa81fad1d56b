"""What lies in the output folder, and its hashes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path


def evidence_folder(check: str) -> str:
    """The folder of a check's evidence, below the run's."""
    return f"evidence/{check.replace('/', '__')}"


@dataclass
class RunFolder:
    """The files of one run. Paths are looked for inside the folder alone."""

    root: Path
    hashes: dict[str, str] = field(default_factory=dict)

    def find(self, *names: str | None) -> Path | None:
        """The first of `names` (relative to the run) that exists inside the folder."""
        inside = self.root.resolve()
        for name in names:
            if not name:
                continue
            path = (inside / name).resolve()
            if path.is_relative_to(inside) and path.is_file():
                return path
        return None

    def sha256(self, name: str) -> str:
        """The file's hash, or empty where there is no such file."""
        if name not in self.hashes:
            path = self.find(name)
            self.hashes[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path else ""
        return self.hashes[name]

    def write(self, name: str, content: bytes) -> Path:
        """Writes `content` so that a reader sees the old file or the new one, never half of one."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".report-")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        return path
