"""The tensors of a model file, read with NumPy alone: safetensors, and the archives that torch.save writes.

A pickle in such an archive may name tensors, storages and ordered maps, and nothing else: no code of its own runs.
"""

from __future__ import annotations

import collections
import io
import json
import math
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from auditor.errors import DataError

NESTED = ("state_dict", "model_state_dict")
"""Keys under which training scripts keep the weights of a checkpoint."""

NUMBERS = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
}  # fmt: skip
OTHERS = {
    "LongStorage": 8, "IntStorage": 4, "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
"""Storages of whole numbers, which enter no bound, and the bytes of an entry."""


def model_tensors(path: Path) -> dict[str, np.ndarray] | None:
    """The floating point tensors of a file by name, bfloat16 as float32; None for a file of another kind.

    Raises DataError for one that is broken.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(9)
        if head.startswith(b"PK"):
            return _archived(path)
        length = int.from_bytes(head[:8], "little")
        is_safetensors = head[8:] == b"{" and 8 + length <= path.stat().st_size
        return _safetensors(path.read_bytes(), length) if is_safetensors else None
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
        EOFError,
        ArithmeticError,
        MemoryError,
        RuntimeError,
        zlib.error,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        raise DataError(f"model {path} cannot be read: {error}", remedy="copy it again") from None


def _safetensors(content: bytes, length: int) -> dict[str, np.ndarray]:
    header = json.loads(content[8 : 8 + length], object_pairs_hook=_once)
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        if entry["dtype"] in NUMBERS:
            start, stop = (8 + length + offset for offset in entry["data_offsets"])
            found[name] = _numbers(content[start:stop], entry["dtype"]).reshape(entry["shape"])
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises ValueError where a name comes twice, since readers differ in which they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _numbers(content: bytes, dtype: str) -> np.ndarray:
    values = np.frombuffer(content, NUMBERS[dtype])
    return (values.astype(np.uint32) << 16).view(np.float32) if dtype == "BF16" else values


class _Storage(NamedTuple):
    """Numbers of an archive, None where they are whole."""

    values: np.ndarray | None


def _archived(path: Path) -> dict[str, np.ndarray] | None:
    with zipfile.ZipFile(path) as archive:
        pickled = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
        if pickled is None:
            return None
        folder = pickled.removesuffix("data.pkl")
        _check_single(archive, folder)
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            return None
        found = _Unpickler(archive, folder).load()
    nested = next((found[key] for key in NESTED if isinstance(found.get(key), dict)), found)
    return {str(name): value for name, value in nested.items() if isinstance(value, np.ndarray)}


def _check_single(archive: zipfile.ZipFile, folder: str) -> None:
    """Raises ValueError for an archive that another reader, such as torch's, may take for another: with files of one
    name, of other folders, or before its start.
    """
    names = [name.lower() for name in archive.namelist()]
    if len(set(names)) < len(names) or not all(name.startswith(folder.lower()) for name in names):
        raise ValueError("it holds files of one name twice, or several folders")
    if folder.count("/") != 1 or min(entry.header_offset for entry in archive.infolist()):
        raise ValueError("it holds one archive within another")


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}data.pkl")))
        self.archive, self.folder = archive, folder
        self.kinds: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *rest: tensor
        if module == "torch" and (name in STORAGES or name in OTHERS):
            return name
        raise pickle.UnpicklingError(f"it holds more than weights: {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, _, _ = pid
        if self.kinds.setdefault(str(key), kind) != kind:
            raise ValueError(f"storage {key} is read as {kind} and as {self.kinds[str(key)]}")
        if kind in OTHERS:
            return _Storage(None)
        return _Storage(_numbers(self.archive.read(f"{self.folder}data/{key}"), STORAGES[kind]))


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *rest: Any) -> Any:
    if storage.values is None:
        return None
    places = np.full(shape, offset, dtype=np.int64)
    for axis, (size, stride) in enumerate(zip(shape, strides, strict=True)):
        places += (stride * np.arange(size)).reshape(-1, *[1] * (len(shape) - axis - 1))
    if math.prod(shape) and int(places.min()) < 0:
        raise ValueError("a tensor begins before its storage")
    return np.asarray(storage.values[places])
