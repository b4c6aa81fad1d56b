"""Rows in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of a source in its order: inputs float32 [n, *shape], labels int64 [n], `index` int64 [n] (each row's number
    in its file), and the declared attributes, each [n]."""

    inputs: np.ndarray
    labels: np.ndarray
    index: np.ndarray
    attributes: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.labels)
