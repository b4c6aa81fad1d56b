"""Tabular sources: named columns, of which some are the input, one the label and some attributes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auditor.errors import DataError
from auditor.sources.encodings import encode
from auditor.sources.reader import Options, Reader, chunked
from auditor.sources.rows import named

if TYPE_CHECKING:
    import numpy as np
    import pyarrow


class Table(Reader):
    """Rows of named columns, in memory, as numpy arrays; text is of dtype object, a missing value None or NaN.

    The input is `features` in that order, each widened by its encoding; without `features`, every column that is
    neither the label nor an attribute. So an attribute is an input only if `features` says so."""

    format = "table"
    labels_by_name = True

    def __init__(self, subject: str, columns: Mapping[str, np.ndarray], digest: Callable[[], str], options: Options):
        self.subject, self._digest, self.encodings = subject, digest, options.encodings
        self.columns = {name: columns[name] for name in self._known(options.columns or tuple(columns), columns)}
        self.label = options.label or "label"
        if self.label not in self.columns:
            raise DataError(
                f"{subject}: label names no column; columns are {', '.join(self.columns)}"
                if options.label is None
                else f"{subject}: there is no column {self.label!r}; columns are {', '.join(self.columns)}",
                remedy="state label: <column>",
            )
        self._known(options.attributes, self.columns)
        other = {self.label, *options.attributes}
        self.features = options.features or tuple(name for name in self.columns if name not in other)
        self._known(self.features, self.columns)
        if not self.features:
            raise DataError(f"{subject}: no column is left to be the input", remedy="state features: [...]")
        if self.label in self.features:
            raise DataError(f"{subject}: the label {self.label!r} is among the features", remedy="take it out")
        if unused := [name for name in self.encodings if name not in self.features]:
            raise DataError(f"{subject}: encodings name {', '.join(unused)}, which is no feature")
        names: list[str] = []
        groups: dict[str, tuple[int, ...]] = {}
        for column in self.features:
            encoding = self.encodings.get(column)
            own = encoding.names(column) if encoding is not None else (column,)
            groups[column] = tuple(range(len(names), len(names) + len(own)))
            names += own
        self.feature_names, self.feature_groups = tuple(names), groups

    def _known(self, names: Sequence[str], columns: Mapping[str, Any]) -> Sequence[str]:
        for name in names:
            if name not in columns:
                close = difflib.get_close_matches(name, columns, n=1)
                raise DataError(
                    f"{self.subject}: there is no column {name!r}; columns are {', '.join(columns)}",
                    remedy=f"did you mean {close[0]!r}?" if close else None,
                )
        return names

    def digest(self) -> str:
        return self._digest()

    def total(self) -> int:
        return len(self.columns[self.label])

    def labels(self) -> np.ndarray:
        return self.columns[self.label]

    def attribute(self, name: str) -> np.ndarray:
        self._known((name,), self.columns)
        return self.columns[name]

    def inputs(self, index: np.ndarray, shape: tuple[int, ...] | None) -> Iterator[Sequence[Any] | np.ndarray]:
        import numpy as np

        self.refuse_missing(self.features, index)
        for chunk in chunked(index, 8 * len(self.feature_names or ())):
            parts = [encode(self.encodings.get(name), name, self.columns[name][chunk], chunk) for name in self.features]
            yield np.concatenate(parts, axis=1)

    def refuse_missing(self, names: Sequence[str], index: np.ndarray) -> None:
        """Raises DataError that names every column with missing values, and the rows."""
        gaps = {name: index[missing(self.columns[name][index])] for name in names}
        found = [f"{name}: {named(rows)}" for name, rows in gaps.items() if len(rows)]
        if found:
            raise DataError(
                f"{self.subject}: values are missing\n    " + "\n    ".join(found),
                remedy="fill them in the file, drop the rows (`rows`), or leave the columns out (`features`)",
                code="missing-values",
            )


def missing(values: np.ndarray) -> np.ndarray:
    """bool [n]: where a column holds no value."""
    import numpy as np

    if values.dtype == object:
        return np.array([value is None for value in values], dtype=bool)
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=bool)


def to_columns(table: pyarrow.Table, subject: str) -> dict[str, np.ndarray]:
    """A pyarrow table as numpy columns. Raises DataError for types that are neither number nor text."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    columns: dict[str, np.ndarray] = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        kind = column.type
        if pa.types.is_boolean(kind):
            column, kind = column.cast(pa.int8()), pa.int8()
        if pa.types.is_decimal(kind):
            column, kind = column.cast(pa.float64()), pa.float64()
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            if pa.types.is_integer(kind) and column.null_count:
                column = column.cast(pa.float64())
            columns[name] = column.to_numpy()
        elif pa.types.is_null(kind):
            columns[name] = np.full(len(column), np.nan)
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_temporal(kind):
            text = column if not pa.types.is_temporal(kind) else pc.cast(column, pa.string())
            columns[name] = np.array(text.to_pylist(), dtype=object)
    if not columns:
        raise DataError(f"{subject}: holds no column of numbers or text")
    return columns
