"""Comma-separated values with a header line."""

from __future__ import annotations

from pathlib import Path

from auditor.digest import content_digest
from auditor.errors import DataError
from auditor.sources.formats.table import Table, to_columns
from auditor.sources.reader import Options

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"]
"""What counts as a missing value. `?` does not: in many data sets it is a category of its own."""


class Csv(Table):
    """A column is whole numbers, decimals or text, whichever all its cells are."""

    format = "csv"

    def __init__(self, path: Path, options: Options):
        import pyarrow as pa
        from pyarrow import csv

        try:
            table = csv.read_csv(
                path,
                read_options=csv.ReadOptions(use_threads=False, block_size=1 << 26),
                convert_options=csv.ConvertOptions(null_values=MISSING, strings_can_be_null=True),
            )
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path.name} is not a readable .csv file: {error}") from error
        if len(set(table.column_names)) < len(table.column_names):
            twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
            raise DataError(
                f"{path.name}: column {', '.join(twice)} occurs more than once", remedy="rename one of them"
            )
        super().__init__(path.name, to_columns(table, path.name), lambda: content_digest(path), options)
