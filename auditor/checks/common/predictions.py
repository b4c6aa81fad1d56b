"""The class each selected row is given, for the checks that need nothing else of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.plan.op import op

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from torch import Tensor

UNCLASSIFIED = -1
"""Stands for the class of a row with a logit that is not a number."""


@op(version=1)
def predict_rows(*, logits: Tensor, rows: Tensor) -> Tensor:
    """int64 [selected rows]: the class of the largest logit, the lowest index of equal ones.

    UNCLASSIFIED where a logit is NaN.
    """
    chosen = logits[rows]
    first = chosen.argsort(dim=1, descending=True, stable=True)[:, 0]
    return first.masked_fill(chosen.isnan().any(dim=1), UNCLASSIFIED)


def points_table(index: np.ndarray, label: np.ndarray, predicted: np.ndarray) -> pa.Table:
    """The columns index, label, predicted; `predicted` null where a row is unclassified."""
    import pyarrow as pa

    return pa.table(
        {
            "index": pa.array(index, pa.int64()),
            "label": pa.array(label, pa.int64()),
            "predicted": pa.array(predicted, pa.int64(), mask=predicted == UNCLASSIFIED),
        }
    )
