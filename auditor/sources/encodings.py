"""How a column becomes numbers: as it stands, standardised, or one-hot.

A spec writes `standardise` or `one_hot`, and the statistics are then those of the source `train`, whatever source
they are applied to, so that no test row leaks into them; `{standardise: {from: other}}` names another source, and
`{standardise: {mean: 38.6, std: 13.6}}` or `{one_hot: [Male, Female]}` declares them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor.errors import DataError
from auditor.sources.rows import named

if TYPE_CHECKING:
    import numpy as np

TRAIN = "train"
SPELLINGS = {"standardise": "standardise", "standardize": "standardise", "one_hot": "one_hot", "one-hot": "one_hot"}


@dataclass(frozen=True)
class Standardise:
    """(value − mean) / std, std being that of the population (divided by n)."""

    mean: float
    std: float

    def width(self) -> int:
        return 1

    def names(self, column: str) -> tuple[str, ...]:
        return (column,)

    def identity(self) -> dict[str, Any]:
        return {"standardise": [self.mean, self.std]}


@dataclass(frozen=True)
class OneHot:
    """One 0/1 entry for each category, in the order given."""

    categories: tuple[Any, ...]

    def width(self) -> int:
        return len(self.categories)

    def names(self, column: str) -> tuple[str, ...]:
        return tuple(f"{column}={category}" for category in self.categories)

    def identity(self) -> dict[str, Any]:
        return {"one_hot": list(self.categories)}


Encoding = Standardise | OneHot


@dataclass(frozen=True)
class Declared:
    """An encoding as a spec writes it: `kind`, and either what it needs or the source to learn that from."""

    kind: str
    statistics: Encoding | None
    source: str = TRAIN


def parse(column: str, written: Any) -> Declared:
    """Reads one entry of `encodings`. Raises DataError."""
    if hasattr(written, "model_dump"):
        written = written.model_dump(by_alias=True, exclude_none=True)
    name, body = written, None
    if isinstance(written, Mapping) and len(written) == 1:
        name, body = next(iter(written.items()))
    kind = SPELLINGS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise DataError(f"encoding of {column!r}: {written!r} is none", remedy="write standardise or one_hot")
    if body is None or body == {}:
        return Declared(kind, None)
    if isinstance(body, Mapping) and set(body) == {"from"}:
        return Declared(kind, None, str(body["from"]))
    if kind == "one_hot" and isinstance(body, (list, tuple)) and body:
        return Declared(kind, OneHot(tuple(body)))
    if kind == "standardise" and isinstance(body, Mapping) and set(body) == {"mean", "std"} and body["std"] > 0:
        return Declared(kind, Standardise(float(body["mean"]), float(body["std"])))
    raise DataError(
        f"encoding of {column!r}: {kind} cannot take {body!r}",
        remedy="write {standardise: {mean: …, std: …}} with std > 0, {one_hot: [a, b]}, or {…: {from: source}}",
    )


def fit(kind: str, column: str, values: np.ndarray) -> Encoding:
    """The statistics of `values`, which miss nothing. Raises DataError for a column that `kind` does not fit."""
    import numpy as np

    if kind == "one_hot":
        return OneHot(
            tuple(sorted({_plain(value) for value in values.tolist()}, key=lambda value: (str(type(value)), value)))
        )
    if values.dtype.kind not in "fiub":
        raise DataError(f"column {column!r} holds text, so it cannot be standardised", remedy="encode it as one_hot")
    numbers = values.astype(np.float64)
    std = float(numbers.std())
    if not std > 0:
        raise DataError(
            f"column {column!r} is constant, so it cannot be standardised", remedy="leave it out of features"
        )
    return Standardise(float(numbers.mean()), std)


def encode(encoding: Encoding | None, column: str, values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """float32 [n, width] of one column, of which `index` are the row numbers for messages. Raises DataError."""
    import numpy as np

    if isinstance(encoding, OneHot):
        known = {category: position for position, category in enumerate(encoding.categories)}
        known |= {str(category): position for category, position in known.items()}
        places = np.array(
            [known.get(value, known.get(str(value), -1)) for value in map(_plain, values.tolist())], dtype=np.int64
        )
        if (places < 0).any():
            strange = sorted({str(value) for value in values[places < 0].tolist()})
            raise DataError(
                f"column {column!r}: {', '.join(strange[:5])} is no category of its one-hot encoding, "
                f"{named(index[places < 0])}",
                remedy="declare all categories: {one_hot: [...]}",
            )
        return np.eye(len(encoding.categories), dtype=np.float32)[places]
    if values.dtype.kind not in "fiub":
        examples = ", ".join(repr(value) for value in dict.fromkeys(values[:100].tolist()))[:60]
        raise DataError(
            f"column {column!r} holds text ({examples})",
            remedy="give it an encoding (one_hot), or leave it out of features",
        )
    numbers = values.astype(np.float64)
    if isinstance(encoding, Standardise):
        numbers = (numbers - encoding.mean) / encoding.std
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32)[:, None]


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
