"""What is known of a source before any input is read: where it is, what it holds, and which content exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import DataError, HashMismatch
from auditor.sources.encodings import TRAIN, Encoding, fit, parse
from auditor.sources.labels import class_indices, refuse_other_classes
from auditor.sources.opening import open_source, resolve
from auditor.sources.reader import Options, Reader
from auditor.sources.rows import as_slice, parse_slice
from auditor.sources.section import Section

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Manifest:
    """A source as it was found. `rows` counts what the section's own `rows` leaves; `total` what the file holds."""

    path: str
    resolved: Path | None
    base: Path
    format: str
    sha256: str
    total: int
    options: Options
    chosen: str | None = None
    class_names: tuple[str, ...] | None = None
    """As the file states them; None if it does not."""
    classes: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None
    range: tuple[float, float] | None = None
    feature_names: tuple[str, ...] | None = None
    """Names of the entries of one input, of tabular sources."""
    feature_groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The entries each column became: one, or as many as its one-hot encoding has categories."""

    @property
    def rows(self) -> int:
        return len(range(*as_slice(self.chosen).indices(self.total)))

    def index(self) -> np.ndarray:
        """int64 [rows]: each row's number in the file."""
        import numpy as np

        return np.arange(self.total, dtype=np.int64)[as_slice(self.chosen)]

    def labels(self) -> np.ndarray:
        """int64 [rows], class indices, read without decoding inputs. Raises DataError for a label outside the
        classes."""
        return self._labels

    @cached_property
    def _labels(self) -> np.ndarray:
        reader, index = self.open(), self.index()
        names = self.classes or self.class_names or ()
        return class_indices(reader.labels()[index], index, self.path, names, by_name=reader.labels_by_name)

    def attributes(self) -> dict[str, np.ndarray]:
        """Per declared attribute one array [rows], of numbers or of text (dtype object)."""
        index = self.index()
        return {name: self.open().attribute(name)[index] for name in self.options.attributes}

    def read(self, rows: str | slice | None = None) -> np.ndarray:
        """float32 [n, *shape]: the inputs of a slice of the rows, as `auditor.sources.read` gives them."""
        from auditor.sources.reading import read_inputs

        return read_inputs(self, rows)

    def open(self) -> Reader:
        """A reader of the content this manifest describes. Raises HashMismatch if the file has changed since."""
        if "_reader" in self.__dict__:
            return self.__dict__["_reader"]
        reader = open_source(self.path, self.resolved, self.base, self.options)
        if reader.digest() != self.sha256:
            raise HashMismatch(
                f"{self.path} has changed since it was looked at: SHA-256 {reader.digest()}, then {self.sha256}",
                remedy="run the audit again",
            )
        self.__dict__["_reader"] = reader
        return reader

    def identity(self) -> dict[str, Any]:
        """Content and options, without the path: equal identities give equal batches."""
        options = self.options
        return {
            "format": self.format,
            "sha256": self.sha256,
            "rows": self.chosen,
            "columns": options.columns,
            "label": options.label,
            "features": options.features,
            "encodings": {name: encoding.identity() for name, encoding in options.encodings.items()},
            "attributes": options.attributes,
            "classes": self.classes,
            "shape": self.shape,
            "range": self.range,
        }

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}


def manifest(
    section: Section | str,
    *,
    base: Path,
    classes: Sequence[str] = (),
    shape: Sequence[int] | None = None,
    range: Sequence[float] | None = None,
    data: Mapping[str, Section] | None = None,
    name: str | None = None,
) -> Manifest:
    """Looks at one source: finds, opens and hashes it, and checks it against its pin and the spec's classes.

    `classes`, `shape` and `range` are the model's, which every read is checked against and images are scaled to;
    `data` are all of the spec's sources, from which encodings learn their statistics. Raises DataError and
    HashMismatch."""
    if isinstance(section, str):
        section = _Bare(section)
    path = str(section.path)
    subject = path if name is None else f"source {name!r} ({path})"
    resolved = resolve(path, base, subject="data" if name is None else f"source {name!r}:")
    options = Options(
        columns=_tuple(section.columns),
        label=section.label,
        features=_tuple(section.features),
        encodings=_fitted(section, base, data or {}),
        attributes=tuple(section.attributes or ()),
    )
    reader = open_source(path, resolved, base, options)
    sha256, total = reader.digest(), reader.total()
    if section.sha256 is not None and section.sha256.lower() != sha256:
        raise HashMismatch(
            f"{subject} has SHA-256 {sha256}, the spec pins {section.sha256}",
            remedy="restore the file, or pin the new content if it is meant",
        )
    if classes and reader.class_names is not None:
        refuse_other_classes(subject, reader.class_names, tuple(classes))
    chosen = None if section.rows is None else str(section.rows)
    if chosen is not None:
        try:
            parse_slice(chosen)
        except ValueError as error:
            raise DataError(f"{subject}: rows: {error}") from error
    found = Manifest(
        path=path,
        resolved=resolved,
        base=Path(base),
        format=reader.format,
        sha256=sha256,
        total=total,
        options=options,
        chosen=chosen,
        class_names=reader.class_names,
        classes=tuple(classes),
        shape=None if shape is None else tuple(int(size) for size in shape),
        range=None if range is None else (float(range[0]), float(range[1])),
        feature_names=reader.feature_names,
        feature_groups=reader.feature_groups,
    )
    found.__dict__["_reader"] = reader
    if found.rows == 0:
        raise DataError(
            f"{subject}: {'it holds no rows' if total == 0 else f'rows {chosen} of its {total} rows are none'}",
            remedy="correct rows" if total else None,
        )
    return found


def manifests(data: Mapping[str, Section], model: Any, *, base: Path) -> dict[str, Manifest]:
    """The manifest of every source of a spec, by name; `model` is the spec's `ModelSection`."""
    return {
        name: manifest(
            section,
            base=base,
            classes=model.classes,
            shape=model.input.shape,
            range=model.input.range,
            data=data,
            name=name,
        )
        for name, section in data.items()
    }


def _fitted(section: Section, base: Path, data: Mapping[str, Section]) -> dict[str, Encoding]:
    """Every encoding of `section` with its statistics, learnt where the spec says: by default from `train`."""
    declared = {column: parse(column, written) for column, written in (section.encodings or {}).items()}
    sources = {each.source for each in declared.values() if each.statistics is None}
    learnt: dict[str, Encoding] = {}
    for source in sorted(sources):
        kinds = {
            name: each.kind for name, each in declared.items() if each.statistics is None and each.source == source
        }
        learnt |= _learn(str(section.path), source, kinds, base, data)
    return {column: each.statistics or learnt[column] for column, each in declared.items()}


def _learn(
    subject: str, source: str, kinds: Mapping[str, str], base: Path, data: Mapping[str, Section]
) -> dict[str, Encoding]:
    """The encodings of the columns `kinds`, with the statistics of the rows that the spec takes of `source`."""
    from auditor.sources.formats.table import Table

    if source not in data:
        raise DataError(
            f"{subject}: encodings of {', '.join(kinds)} take their statistics from source {source!r}, which the spec "
            "does not declare",
            remedy=f"declare data.{TRAIN}, or the statistics: {{standardise: {{mean: …, std: …}}}}, {{one_hot: [...]}}",
        )
    teacher = data[source]
    path = str(teacher.path)
    options = Options(columns=_tuple(teacher.columns), label=teacher.label, features=tuple(kinds))
    reader = open_source(path, resolve(path, base, subject="data"), base, options)
    if not isinstance(reader, Table):
        raise DataError(f"{path}: encodings are for tabular sources, this is {reader.format}")
    import numpy as np

    index = np.arange(reader.total())[as_slice(teacher.rows)]
    reader.refuse_missing(tuple(kinds), index)
    return {column: fit(kind, column, reader.attribute(column)[index]) for column, kind in kinds.items()}


def _tuple(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


@dataclass(frozen=True)
class _Bare:
    """A section that is only a path."""

    path: str
    rows: str | None = None
    columns: tuple[str, ...] | None = None
    label: str | None = None
    features: tuple[str, ...] | None = None
    encodings: Mapping[str, Any] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    sha256: str | None = None
