"""The subject of an audit as planning sees it: what the model and the data are, known by their content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np


class Model(Protocol):
    """The audited model before it is loaded. `identity()` holds hashes and no path; instances cross process borders."""

    def identity(self) -> Any: ...

    def load(self, device: str) -> Any:
        """`auditor.loading.AuditedModel` on `device`, in eval mode."""
        ...

    @property
    def nbytes(self) -> int | None:
        """Size of its weights, as far as that is known without loading."""
        ...


class Source(Protocol):
    """A named source of rows before it is read. `identity()` holds hashes, no path; instances cross process borders."""

    def identity(self) -> Any: ...

    @property
    def rows(self) -> int: ...

    def labels(self) -> np.ndarray:
        """int64 [rows], without reading the inputs where the format allows it."""
        ...

    def attributes(self) -> dict[str, np.ndarray]:
        """Per declared attribute one array [rows]."""
        ...

    def index(self) -> np.ndarray:
        """int64 [rows]: each row's number in its file."""
        ...

    def read(self, rows: slice) -> np.ndarray:
        """float32 [rows, *input_shape]."""
        ...


@dataclass(frozen=True)
class Subject:
    """Everything `Builder` may speak about. `sets` are collections of class sets, by class index;
    `feature_names` those of a flat input's columns, of a one-hot group as `name=value`; `assumed` the ℓ₂ Lipschitz
    constants that the spec's author vouches for, by the network's modules."""

    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    model: Model
    data: Mapping[str, Source]
    input_range: tuple[float, float] | None = None
    sets: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    training: Mapping[str, Any] | None = None
    feature_names: tuple[str, ...] | None = None
    assumed: Mapping[str, float] = field(default_factory=dict)
