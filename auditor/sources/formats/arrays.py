"""Sources that are two arrays, `x` and `y`: .npz, .safetensors, and what a callable returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.digest import content_digest
from auditor.errors import DataError
from auditor.sources.reader import Options, Reader, chunked, pixel_scale

if TYPE_CHECKING:
    import numpy as np


class Arrays(Reader):
    """Inputs `x` [n, *shape] and labels `y` [n]; further arrays of length n are attributes.

    `columns: [images, targets]` names other arrays than x and y. Bytes of rank two or more per row are pixels and are
    scaled to the model's range; everything else is taken as it stands."""

    format = "arrays"

    def __init__(self, subject: str, arrays: Mapping[str, np.ndarray], digest: Callable[[], str], options: Options):
        names = options.columns or ("x", "y")
        if len(names) != 2:
            raise DataError(
                f"{subject}: columns names {len(names)} arrays, expected two", remedy="write columns: [inputs, labels]"
            )
        self.subject, self.arrays, self._digest = subject, arrays, digest
        self.x, self.y = self._array(names[0]), self._array(options.label or names[1])
        if self.y.ndim == 2 and self.y.shape[1] == 1:
            self.y = self.y[:, 0]
        if self.y.ndim != 1 or self.x.ndim < 2 or len(self.x) != len(self.y):
            raise DataError(
                f"{subject}: inputs have shape {list(self.x.shape)} and labels {list(self.y.shape)}; expected "
                "[rows, ...] and [rows]",
                remedy="store one label per input",
            )
        if self.x.dtype.kind not in "fiub":
            raise DataError(f"{subject}: inputs have type {self.x.dtype}, expected numbers")

    def _array(self, name: str) -> np.ndarray:
        try:
            return self.arrays[name]
        except KeyError:
            held = ", ".join(self.arrays) or "none"
            raise DataError(
                f"{self.subject}: holds no array {name!r}; it holds {held}",
                remedy="name them: columns: [inputs, labels]",
            ) from None

    def digest(self) -> str:
        return self._digest()

    def total(self) -> int:
        return len(self.y)

    def labels(self) -> np.ndarray:
        return self.y

    def attribute(self, name: str) -> np.ndarray:
        values = self._array(name)
        if values.ndim != 1 or len(values) != len(self.y):
            raise DataError(
                f"{self.subject}: attribute {name!r} has shape {list(values.shape)}, expected [{len(self.y)}]"
            )
        return values

    def inputs(self, index: np.ndarray, shape: tuple[int, ...] | None) -> Iterator[Sequence[Any] | np.ndarray]:
        for chunk in chunked(index, self.x[:1].nbytes * 4):
            yield self.x[chunk]

    def largest(self, dtype: np.dtype) -> float | None:
        return pixel_scale(dtype) if self.x.ndim >= 3 else None


class _Lazy(Mapping):
    """Arrays of an open .npz or .safetensors file, each read when first asked for."""

    def __init__(self, names: Sequence[str], load: Callable[[str], np.ndarray]):
        self.names, self.load, self.loaded = list(names), load, {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.names:
            raise KeyError(name)
        if name not in self.loaded:
            self.loaded[name] = self.load(name)
        return self.loaded[name]

    def __iter__(self):
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


class Npz(Arrays):
    """Arrays of objects are refused: they are pickles."""

    format = "npz"

    def __init__(self, path: Path, options: Options):
        import zipfile

        import numpy as np

        broken = (ValueError, OSError, EOFError, zipfile.BadZipFile, NotImplementedError)

        def load(name: str) -> np.ndarray:
            try:
                with path.open("rb") as stream:
                    return np.load(stream, allow_pickle=False)[name]
            except broken as error:
                raise DataError(
                    f"{path.name}: array {name!r} cannot be read: {error}", remedy="store plain numbers, not objects"
                ) from error

        try:
            with zipfile.ZipFile(path) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
        except broken as error:
            raise DataError(
                f"{path.name} is not a readable .npz file: {error}", remedy="write it with numpy.savez(path, x=x, y=y)"
            ) from error
        super().__init__(path.name, _Lazy(names, load), lambda: content_digest(path), options)


class Safetensors(Arrays):
    format = "safetensors"

    def __init__(self, path: Path, options: Options):
        from safetensors import SafetensorError, safe_open

        try:
            archive = safe_open(path, framework="numpy")
            names = list(archive.keys())
        except (SafetensorError, OSError) as error:
            raise DataError(f"{path.name} is not a readable .safetensors file: {error}") from error
        super().__init__(path.name, _Lazy(names, archive.get_tensor), lambda: content_digest(path), options)
