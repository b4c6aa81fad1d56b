"""MNIST's .idx format: a file of images and, beside it, one of labels; each may be gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.digest import content_digest, digest
from auditor.errors import DataError
from auditor.sources.formats.arrays import Arrays
from auditor.sources.reader import Options

if TYPE_CHECKING:
    import numpy as np

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class Idx(Arrays):
    """`train-images-idx3-ubyte.gz` with its sibling `train-labels-idx1-ubyte.gz` (`images` replaced by `labels`).

    Grey images [n, h, w] become [n, 1, h, w]. The digest covers both files.
    """

    format = "idx"

    def __init__(self, path: Path, options: Options):
        labels = labels_beside(path)
        x, y = read_idx(path), read_idx(labels)
        if x.ndim == 3:
            x = x[:, None]
        both = {"images": path, "labels": labels}
        super().__init__(
            path.name,
            {"x": x, "y": y},
            lambda: digest({name: content_digest(file) for name, file in both.items()}),
            Options(attributes=options.attributes),
        )


def is_idx(path: Path) -> bool:
    """Whether a file's name says .idx: `x.idx`, `train-images-idx3-ubyte`, either with `.gz`."""
    name = path.name.removesuffix(".gz")
    return name.endswith(".idx") or "-idx" in name


def labels_beside(path: Path) -> Path:
    """The labels file of an images file. Raises DataError naming the files looked for."""
    name = path.name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    names = [name, name.removesuffix(".gz")] if name.endswith(".gz") else [name, name + ".gz"]
    if name != path.name:
        for candidate in names:
            if (path.parent / candidate).is_file():
                return path.parent / candidate
    raise DataError(
        f"{path.name}: no labels beside it; looked for {' and '.join(names)}",
        remedy="call the two files …images… and …labels…",
    )


def read_idx(path: Path) -> np.ndarray:
    """The array of one .idx or .idx.gz file. Raises DataError for a file that is not whole."""
    import numpy as np

    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path.name} is not a readable gzip file: {error}") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES or not data[3]:
        raise DataError(f"{path.name} is not an .idx file: it starts with {data[:4].hex() or 'nothing'}")
    rank = data[3]
    shape = [int.from_bytes(data[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(rank)]
    kind = np.dtype(TYPES[data[2]])
    expected = 4 + 4 * rank + math.prod(shape) * kind.itemsize
    if len(data) != expected:
        raise DataError(
            f"{path.name}: its header announces {expected} bytes, it holds {len(data)}",
            remedy="download the file again",
        )
    values = np.frombuffer(data, kind, offset=4 + 4 * rank).reshape(shape)
    return values.astype(kind.newbyteorder("="), copy=False)
