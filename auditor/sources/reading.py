"""Inputs of a source, checked and in the model's units."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from auditor.errors import DataError
from auditor.sources.batch import Batch
from auditor.sources.manifest import Manifest
from auditor.sources.reader import Reader
from auditor.sources.rows import as_slice, named

if TYPE_CHECKING:
    import numpy as np


def read(manifest: Manifest, rows: str | slice | None = None) -> Batch:
    """The rows `rows` of a source, a slice within those its section chose, with their labels and attributes.

    Raises DataError as `read_inputs` does, and for labels outside the classes.
    """
    part = as_slice(rows)
    attributes = {name: values[part] for name, values in manifest.attributes().items()}
    return Batch(read_inputs(manifest, part), manifest.labels()[part], manifest.index()[part], attributes)


def read_inputs(manifest: Manifest, rows: str | slice | None = None) -> np.ndarray:
    """float32 [n, *shape], checked and in the model's units.

    Pixels (images, .idx, bytes of rank two or more, digits) are scaled so that 0 and their largest value are the ends
    of the model's range, [0, 1] if none is stated; everything else is taken as it stands. A model that takes vectors
    gets images flattened, and one of one channel gets [h, w] as [1, h, w]; any other shape is an error. Memory: the
    result and a chunk. Raises DataError that names the rows which are not finite, out of range or of another shape.
    """
    import numpy as np

    index = manifest.index()[as_slice(rows)]
    inputs: np.ndarray | None = None
    done = 0
    for chunk in chunks(manifest, index):
        if inputs is None:
            inputs = np.empty((len(index), *chunk.shape[1:]), dtype=np.float32)
        inputs[done : done + len(chunk)] = chunk
        done += len(chunk)
    return np.empty((0, *(manifest.shape or ())), dtype=np.float32) if inputs is None else inputs


def chunks(manifest: Manifest, index: np.ndarray) -> Iterator[np.ndarray]:
    """float32 [k, *shape] of the file's rows `index` (ascending), some at a time. Raises DataError as `read` does,
    after the last chunk, so that it can name all rows; a shape that fits no row is raised at once."""
    import numpy as np

    reader = manifest.open()
    faults = _Faults(manifest)
    shape = manifest.shape
    position = 0
    for raw in reader.inputs(index, shape):
        here = index[position : position + len(raw)]
        position += len(raw)
        if shape is None:
            shape = tuple(np.shape(raw[0]))
        values = _shaped(raw, here, shape, reader, manifest, faults)
        faults.look(values, here)
        yield values
    assert position == len(index), f"{reader.format} reader gave {position} rows of {len(index)}"
    faults.refuse()


def _shaped(
    raw: Sequence[Any] | np.ndarray,
    index: np.ndarray,
    shape: tuple[int, ...],
    reader: Reader,
    manifest: Manifest,
    faults: _Faults,
) -> np.ndarray:
    """Scaled values of the rows, zeros where a row's shape does not fit."""
    import numpy as np

    if isinstance(raw, np.ndarray):
        if _fits(raw.shape[1:], shape):
            return _scaled(raw.reshape(len(raw), *shape), reader, manifest)
        faults.shapes.extend((int(row), raw.shape[1:]) for row in index)
        faults.refuse()
    values = np.zeros((len(raw), *shape), dtype=np.float32)
    for place, (row, each) in enumerate(zip(index, raw, strict=True)):
        if _fits(each.shape, shape):
            values[place] = _scaled(each.reshape(shape), reader, manifest)
        else:
            faults.shapes.append((int(row), each.shape))
    return values


def _fits(found: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    if found == shape:
        return True
    vector = len(shape) == 1 and math.prod(found) == shape[0]
    channel = len(shape) == 3 and shape[0] == 1 and found == shape[1:]
    return vector or channel


def _scaled(raw: np.ndarray, reader: Reader, manifest: Manifest) -> np.ndarray:
    import numpy as np

    largest = reader.largest(raw.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        if largest is None:
            return raw.astype(np.float32)
        low, high = manifest.range or (0.0, 1.0)
        unit = raw.astype(np.float32) / np.float32(largest)
        if (low, high) == (0.0, 1.0):
            return unit
        # Clipped, since rounding in float32 may step over the range's end by one unit in the last place.
        return np.clip(np.float32(low) + np.float32(high - low) * unit, np.float32(low), np.float32(high))


class _Faults:
    """Rows found wrong on the way, named together at the end."""

    def __init__(self, manifest: Manifest):
        self.manifest = manifest
        self.shapes: list[tuple[int, tuple[int, ...]]] = []
        self.infinite: list[int] = []
        self.outside: list[tuple[int, float]] = []

    def look(self, values: np.ndarray, index: np.ndarray) -> None:
        import numpy as np

        flat = values.reshape(len(values), -1)
        low, high = flat.min(axis=1, initial=np.inf), flat.max(axis=1, initial=-np.inf)
        finite = np.isfinite(low) & np.isfinite(high)
        if not finite.all():
            self.infinite += index[~finite].tolist()
        if self.manifest.range is not None:
            bottom, top = (np.float32(end) for end in self.manifest.range)
            outside = finite & ((low < bottom) | (high > top))
            for place in np.flatnonzero(outside).tolist():
                self.outside.append((int(index[place]), float(low[place] if low[place] < bottom else high[place])))

    def refuse(self) -> None:
        path = self.manifest.path
        if self.shapes:
            row, found = self.shapes[0]
            expected = list(self.manifest.shape) if self.manifest.shape else "the first row's shape"
            raise DataError(
                f"{path}: inputs have the wrong shape, {named(row for row, _ in self.shapes)}; row {row} is "
                f"{list(found)}, expected {expected} (channels first)",
                remedy="correct model.input.shape or the data",
                code="wrong-shape",
            )
        if self.infinite:
            raise DataError(
                f"{path}: inputs are NaN or infinite in {named(self.infinite)}",
                remedy="clean these rows, or leave them out (`rows`)",
                code="not-finite",
            )
        if self.outside:
            row, value = self.outside[0]
            low, high = self.manifest.range or (0.0, 1.0)
            raise DataError(
                f"{path}: inputs leave model.input.range [{low:g}, {high:g}] in "
                f"{named(row for row, _ in self.outside)}; row {row} holds {value:g}",
                remedy="scale the data, or correct model.input.range",
                code="out-of-range",
            )
