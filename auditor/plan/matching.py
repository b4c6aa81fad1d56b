"""Which rows satisfy a filter: the one rule behind the count that planning needs and the op that runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from auditor.errors import DataError

if TYPE_CHECKING:
    import numpy as np


def matching(
    labels: np.ndarray,
    *,
    predicted: np.ndarray | None = None,
    attributes: Mapping[str, np.ndarray] | None = None,
    of_label: tuple[int, ...] | None = None,
    of_prediction: tuple[int, ...] | None = None,
    correct: bool | None = None,
    of_attributes: Mapping[str, str | int | float | bool] | None = None,
) -> np.ndarray:
    """int64 positions of the rows that satisfy every stated condition, ascending.

    Attributes are compared as values, and where the column holds text and the filter a number, as text. Raises
    DataError for an attribute the source does not have.
    """
    import numpy as np

    keep = np.ones(len(labels), dtype=bool)
    if of_label is not None:
        keep &= np.isin(labels, of_label)
    if of_prediction is not None or correct is not None:
        assert predicted is not None
        if of_prediction is not None:
            keep &= np.isin(predicted, of_prediction)
        if correct is not None:
            keep &= (predicted == labels) == correct
    for name, value in (of_attributes or {}).items():
        if attributes is None or name not in attributes:
            offered = ", ".join(attributes or {}) or "none"
            raise DataError(
                f"the data has no attribute {name!r}; declared: {offered}", remedy="declare it in the source"
            )
        column = np.asarray(attributes[name])
        keep &= column == (str(value) if column.dtype.kind in "OUS" else value)
    return np.flatnonzero(keep).astype(np.int64)
