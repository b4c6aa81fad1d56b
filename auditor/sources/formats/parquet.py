"""Parquet: tabular columns, or the image layout of Hugging Face datasets."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.digest import content_digest
from auditor.errors import DataError
from auditor.sources.formats.images import Undecodable, decode
from auditor.sources.formats.table import Table, missing, to_columns
from auditor.sources.reader import Options, Reader, pixel_scale
from auditor.sources.rows import named

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

IMAGES_AT_ONCE = 64


def open_parquet(path: Path, options: Options) -> Reader:
    """A reader for whichever layout the file has: it holds images if a column is one or is named by `columns`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path.name} is not a readable .parquet file: {error}") from error
    images = [field.name for field in schema if _is_image(field)]
    chosen = [name for name in options.columns or images if name in images]
    if options.features or not chosen:
        table = pq.read_table(path, columns=list(options.columns) if options.columns else None, use_threads=False)
        reader = Table(path.name, to_columns(table, path.name), lambda: content_digest(path), options)
        reader.class_names = _class_names(schema, reader.label)
        return reader
    if len(chosen) > 1:
        raise DataError(
            f"{path.name}: several columns hold images: {', '.join(chosen)}", remedy="choose by columns: [...]"
        )
    return ImageParquet(path, schema, chosen[0], options)


class ImageParquet(Reader):
    """A column of encoded images, `{bytes, path}` or bytes, and a label column; other columns may be attributes.

    Images are decoded some dozens at a time out of the row groups they lie in, so memory stays flat. Class names are
    those of the `huggingface` metadata.
    """

    format = "parquet"
    labels_by_name = True

    def __init__(self, path: Path, schema: pyarrow.Schema, image: str, options: Options):
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path, self.image, self.schema = path, image, schema
        self.label = options.label or "label"
        if self.label not in schema.names:
            raise DataError(
                f"{path.name}: there is no column {self.label!r}; columns are {', '.join(schema.names)}",
                remedy="state label: <column>",
            )
        self.class_names = _class_names(schema, self.label)
        self.column = f"{image}.bytes" if pa.types.is_struct(schema.field(image).type) else image
        self.file = pq.ParquetFile(path)

    def digest(self) -> str:
        return content_digest(self.path)

    def total(self) -> int:
        return self.file.metadata.num_rows

    def labels(self) -> np.ndarray:
        return self._column(self.label)

    def attribute(self, name: str) -> np.ndarray:
        return self._column(name)

    def _column(self, name: str) -> np.ndarray:
        if name not in self.schema.names:
            raise DataError(
                f"{self.path.name}: there is no column {name!r}; columns are {', '.join(self.schema.names)}"
            )
        values = to_columns(self.file.read(columns=[name], use_threads=False), self.path.name)[name]
        if (gaps := missing(values)).any():
            raise DataError(f"{self.path.name}: column {name!r} is missing in {named(gaps.nonzero()[0])}")
        return values

    def inputs(self, index: np.ndarray, shape: tuple[int, ...] | None) -> Iterator[Sequence[Any] | np.ndarray]:
        import numpy as np

        if len(index) > 1 and (np.diff(index) <= 0).any():
            raise AssertionError("rows are asked for in the order of the file")
        sizes = [self.file.metadata.row_group(group).num_rows for group in range(self.file.num_row_groups)]
        starts = np.concatenate(([0], np.cumsum(sizes)))
        for group, (start, stop) in enumerate(itertools.pairwise(starts)):
            wanted = index[(index >= start) & (index < stop)]
            if len(wanted):
                yield from self._group(group, int(start), wanted, shape)

    def _group(self, group: int, start: int, wanted: np.ndarray, shape: tuple[int, ...] | None) -> Iterator[list]:
        batches = self.file.iter_batches(IMAGES_AT_ONCE, row_groups=[group], columns=[self.column], use_threads=False)
        rows = set(wanted.tolist())
        for batch in batches:
            column = batch.column(0)
            encoded = column.field("bytes") if self.column != self.image else column
            chunk, broken = [], {}
            for row in range(start, start + len(batch)):
                if row in rows:
                    try:
                        chunk.append(decode(encoded[row - start].as_py(), shape))
                    except Undecodable as error:
                        broken[row] = error
            if broken:
                first = next(iter(broken.values()))
                raise DataError(f"{self.path.name}: images cannot be decoded: {named(broken)}; the first: {first}")
            start += len(batch)
            if chunk:
                yield chunk

    def largest(self, dtype: np.dtype) -> float | None:
        return pixel_scale(dtype)


def _is_image(field: pyarrow.Field) -> bool:
    import pyarrow as pa

    kind = field.type
    if pa.types.is_struct(kind):
        return "bytes" in {kind.field(position).name for position in range(kind.num_fields)}
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _class_names(schema: pyarrow.Schema, label: str) -> tuple[str, ...] | None:
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[label]["names"])
    except (KeyError, TypeError, ValueError):
        return None
