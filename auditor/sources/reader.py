"""What every format offers: rows counted, labels without inputs, inputs in chunks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np

    from auditor.sources.encodings import Encoding

CHUNK_BYTES = 1 << 24
"""Decoded inputs held by a reader at one time, about; a read needs its result and this."""


@dataclass(frozen=True)
class Options:
    """A section's options as plain values, with every encoding fitted."""

    columns: tuple[str, ...] | None = None
    label: str | None = None
    features: tuple[str, ...] | None = None
    encodings: Mapping[str, Encoding] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()


class Reader(ABC):
    """An open source. Row numbers are the file's own, from 0; values are raw, as the file holds them."""

    format: ClassVar[str]
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    feature_groups: Mapping[str, tuple[int, ...]] = {}
    labels_by_name: ClassVar[bool] = False
    """Whether a label is compared with the class names as text before it is read as an index."""

    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of the content."""

    @abstractmethod
    def total(self) -> int:
        """How many rows the source holds."""

    @abstractmethod
    def labels(self) -> np.ndarray:
        """The raw label of every row: whole numbers or text. Decodes no input."""

    @abstractmethod
    def inputs(self, index: np.ndarray, shape: tuple[int, ...] | None) -> Iterator[Sequence[Any] | np.ndarray]:
        """Raw inputs of the rows `index` in that order, in chunks: an array [k, *shape], or k arrays where shapes may
        differ. `shape` is what the model takes, None if unknown; it guides how an image is decoded, nothing is cut."""

    def attribute(self, name: str) -> np.ndarray:
        """The values of a declared attribute, one for each row of the source. Raises DataError if there is none."""
        from auditor.errors import DataError

        raise DataError(
            f"{self.format} sources have no attribute {name!r}", remedy="keep attributes in a .csv or .parquet file"
        )

    def largest(self, dtype: np.dtype) -> float | None:
        """The raw value that stands for the top of the model's input range (0 being its bottom); None if raw values are
        in the model's units already."""
        return None


def pixel_scale(dtype: np.dtype) -> float | None:
    """The largest value of an unsigned pixel type; None for anything else."""
    return {"uint8": 255.0, "uint16": 65535.0}.get(dtype.name)


def chunked(index: np.ndarray, row_bytes: int) -> Iterator[np.ndarray]:
    """`index` in pieces whose decoded rows take about `CHUNK_BYTES`."""
    size = max(1, CHUNK_BYTES // max(row_bytes, 1))
    for start in range(0, len(index), size):
        yield index[start : start + size]
