"""A folder of class folders of images: `data/cats/1.png`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.digest import content_digest, digest
from auditor.errors import DataError
from auditor.sources.formats.images import ENDINGS, Undecodable, decode
from auditor.sources.reader import Options, Reader, pixel_scale
from auditor.sources.rows import named

if TYPE_CHECKING:
    import numpy as np

FILES_AT_ONCE = 64


class Folder(Reader):
    """Rows are the images by class folder, then by path, both in code-point order, so that numbers are stable
    everywhere.

    A class folder may hold folders of its own. The digest covers every image's relative path and content.
    """

    format = "folder"
    labels_by_name = True

    def __init__(self, path: Path, options: Options):
        self.path = path
        folders = sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        self.files: list[tuple[str, Path]] = []
        for name in folders:
            found = (file for file in (path / name).rglob("*") if file.suffix.lower() in ENDINGS and file.is_file())
            self.files += [(name, file) for file in sorted(found, key=lambda file: file.relative_to(path).as_posix())]
        if not self.files:
            raise DataError(
                f"folder {path.name} holds no class folders with images",
                remedy=f"lay it out as class/image, with endings {' '.join(ENDINGS)}",
            )

    def digest(self) -> str:
        return digest({file.relative_to(self.path).as_posix(): content_digest(file) for _, file in self.files})

    def total(self) -> int:
        return len(self.files)

    def labels(self) -> np.ndarray:
        import numpy as np

        return np.array([name for name, _ in self.files], dtype=object)

    def inputs(self, index: np.ndarray, shape: tuple[int, ...] | None) -> Iterator[Sequence[Any] | np.ndarray]:
        for start in range(0, len(index), FILES_AT_ONCE):
            chunk, broken = [], {}
            for row in index[start : start + FILES_AT_ONCE].tolist():
                file = self.files[row][1]
                try:
                    chunk.append(decode(file.read_bytes(), shape))
                except Undecodable as error:
                    broken[row] = f"{file.relative_to(self.path).as_posix()}: {error}"
            if broken:
                first = next(iter(broken.values()))
                raise DataError(f"{self.path.name}: images cannot be decoded: {named(broken)}; the first: {first}")
            yield chunk

    def largest(self, dtype: np.dtype) -> float | None:
        return pixel_scale(dtype)
