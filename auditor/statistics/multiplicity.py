"""Several questions asked of the same rows: what each answer must be worth for all of them to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


def bonferroni(confidence: float, questions: int) -> float:
    """The confidence of each of `questions` bounds that makes all of them hold together at `confidence`."""
    if questions < 1:
        raise ValueError(f"{questions} questions")
    return 1 - (1 - confidence) / questions


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values (Holm 1979): rejecting those at most α errs anywhere with probability at most α."""
    import numpy as np

    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
