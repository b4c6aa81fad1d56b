"""What a check may ask of the graph while it plans: promises of values, never the values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from auditor.spec.rows import Rows, Where

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Ref(Generic[T_co]):
    """The promise of a T: the digest of the task that makes it."""

    digest: str


class Builder(Protocol):
    """The graph under construction. Equal calls give equal refs, across checks too.

    Values behind the refs are torch tensors on the CPU unless said otherwise; row order is that of the source.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by index."""
        ...

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch."""
        ...

    @property
    def input_range(self) -> tuple[float, float] | None:
        """The box every input lies in, if the spec states one."""
        ...

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of a flat input's columns, those of a one-hot group as `name=value`; None where they have none."""
        ...

    @property
    def assumed(self) -> dict[str, float]:
        """Lipschitz constants in the ℓ₂ norm that the spec's author vouches for, by the names of the network's
        modules.
        """
        ...

    def class_index(self, name: str) -> int:
        """Index of a class by its name (the spec has checked that it exists)."""
        ...

    def class_sets(self, name: str) -> tuple[tuple[int, ...], ...]:
        """The collection of class sets declared under `name`, as class indices."""
        ...

    def add(self, op: Callable[..., T], /, **parameters: Any) -> Ref[T]:
        """One task: `op` called with `parameters`, of which refs are inputs and the rest part of its identity."""
        ...

    def model(self) -> Ref[Any]:
        """The audited model: `auditor.loading.AuditedModel`, in eval mode, on the audit's device."""
        ...

    def inputs(self, over: Rows) -> Ref[Any]:
        """float32 tensor [rows, *input_shape]."""
        ...

    def labels(self, over: Rows) -> Ref[Any]:
        """int64 tensor [rows]."""
        ...

    def index(self, over: Rows) -> Ref[Any]:
        """int64 tensor [rows]: each row's number in its source file, for the column `index` of points.parquet."""
        ...

    def logits(self, over: Rows, *, dtype: str = "float32") -> Ref[Any]:
        """Tensor [rows, classes] of the model's logits, forward pass in `dtype` ("float32" or "float64")."""
        ...

    def selected(self, over: Rows, where: Where | None) -> Ref[Any]:
        """int64 tensor: the positions within `over` that satisfy `where`; all of them where it is None."""
        ...

    def count(self, over: Rows, where: Where | None = None) -> int | None:
        """How many rows that is, read from the data without a model; None where only the model can tell."""
        ...

    def training(self) -> dict[str, Any] | None:
        """The spec's `training` section as plain JSON, None if it has none."""
        ...
