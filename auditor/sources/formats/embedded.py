"""Data sets that come with scikit-learn, offline: `sklearn:digits`, `breast_cancer`, `wine`, `iris`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from auditor.errors import DataError
from auditor.sources.formats.arrays import Arrays
from auditor.sources.formats.table import Table
from auditor.sources.reader import Options, Reader

if TYPE_CHECKING:
    import numpy as np

PREFIX = "sklearn:"
NAMES = ("digits", "breast_cancer", "wine", "iris")


def open_embedded(path: str, options: Options) -> Reader:
    """The reader of `sklearn:<name>`. Raises DataError for a name that is none of the four."""
    name = path.removeprefix(PREFIX)
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, n=1)
        raise DataError(
            f"{path!r} names no embedded data set; there are {', '.join(PREFIX + each for each in NAMES)}",
            remedy=f"did you mean {PREFIX}{close[0]}?" if close else None,
        )
    return Digits(options) if name == "digits" else EmbeddedTable(name, options)


@cache
def _load(name: str) -> Any:
    if name == "digits" and (quick := _digits()) is not None:
        return quick
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")()


class _Digits(NamedTuple):
    """What `sklearn.datasets.load_digits` returns, as far as it is used here."""

    data: np.ndarray
    target: np.ndarray

    @property
    def images(self) -> np.ndarray:
        return self.data.reshape(-1, 8, 8)


def _digits() -> _Digits | None:
    """Read from scikit-learn's own file without importing scikit-learn, which takes a second and a half; None where
    the file is not where it used to be."""
    import importlib.util

    import numpy as np

    package = importlib.util.find_spec("sklearn")
    for folder in (package.submodule_search_locations if package else None) or ():
        file = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            rows = np.loadtxt(file, delimiter=",")
            return _Digits(rows[:, :-1], rows[:, -1].astype(np.int64))
    return None


def _digest(name: str) -> str:
    import hashlib

    data = _load(name)
    state = hashlib.sha256(name.encode())
    state.update(data.data.astype("<f8").tobytes())
    state.update(data.target.astype("<i8").tobytes())
    return state.hexdigest()


class Digits(Arrays):
    """1,797 handwritten digits, [1, 8, 8] with grey values 0 to 16, scaled like pixels."""

    format = "sklearn"

    def __init__(self, options: Options):
        data = _load("digits")
        super().__init__(
            f"{PREFIX}digits",
            {"x": data.images[:, None], "y": data.target},
            lambda: _digest("digits"),
            Options(attributes=options.attributes),
        )

    def largest(self, dtype: np.dtype) -> float | None:
        return 16.0

    def inputs(self, index: np.ndarray, shape: tuple[int, ...] | None) -> Iterator[Sequence[Any] | np.ndarray]:
        yield self.x[index]


class EmbeddedTable(Table):
    """Raw features under their own names; the label column is `target`."""

    format = "sklearn"
    labels_by_name = False

    def __init__(self, name: str, options: Options):
        data = _load(name)
        columns = {str(feature): data.data[:, place] for place, feature in enumerate(data.feature_names)}
        columns["target"] = data.target
        chosen = Options(
            columns=options.columns,
            label=options.label or "target",
            features=options.features,
            encodings=options.encodings,
            attributes=options.attributes,
        )
        super().__init__(f"{PREFIX}{name}", columns, lambda: _digest(name), chosen)
        if self.label == "target":
            self.class_names = tuple(str(each) for each in data.target_names)
