"""The builder that checks plan with: it turns what they ask for into tasks, equal questions into one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from auditor.errors import UsageError
from auditor.plan.machine import Environment
from auditor.plan.matching import matching
from auditor.plan.op import Op
from auditor.plan.subject import Source, Subject
from auditor.plan.task import Task, make_task
from auditor.spec.builder import Ref
from auditor.spec.rows import Rows, Where, parse_slice

T = TypeVar("T")

BATCH_ELEMENTS = 256 * 3 * 64 * 64
"""Input values in one batch of the shared forward pass: 256 RGB patches of 64x64, 12 MB in float32."""


@dataclass(frozen=True)
class CommonOps:
    """The ops behind `Builder.model()` and its siblings. They live above this floor, so they are handed in."""

    model: Op[..., Any]
    inputs: Op[..., Any]
    labels: Op[..., Any]
    index: Op[..., Any]
    attributes: Op[..., Any]
    logits: Op[..., Any]
    selected: Op[..., Any]


class Builder:
    """Implements `auditor.spec.builder.Builder` for one subject. `tasks` is in an order in which inputs come first."""

    def __init__(self, subject: Subject, *, common: CommonOps, environment: Environment) -> None:
        self.subject = subject
        self.common = common
        self.environment = environment
        self.tasks: dict[str, Task] = {}

    @property
    def classes(self) -> tuple[str, ...]:
        return self.subject.classes

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.subject.input_shape

    @property
    def input_range(self) -> tuple[float, float] | None:
        return self.subject.input_range

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        return self.subject.feature_names

    @property
    def assumed(self) -> dict[str, float]:
        return dict(self.subject.assumed)

    def class_index(self, name: str) -> int:
        return self.classes.index(name)

    def class_sets(self, name: str) -> tuple[tuple[int, ...], ...]:
        return self.subject.sets[name]

    def training(self) -> dict[str, Any] | None:
        return None if self.subject.training is None else dict(self.subject.training)

    def add(self, op: Callable[..., T], /, **parameters: Any) -> Ref[T]:
        if not isinstance(op, Op):
            raise TypeError(f"{op!r} is not an op; declare it with @op(version=1)")
        task = make_task(op, parameters, self.environment)
        if task.digest not in self.tasks:
            rows = [self.tasks[key].rows for key in task.inputs]
            known = [count for count in rows if count is not None]
            self._keep(task, max(known, default=None))
        return Ref(task.digest)

    def model(self) -> Ref[Any]:
        return self.add(self.common.model, source=self.subject.model)

    def inputs(self, over: Rows) -> Ref[Any]:
        return self._of_data(self.common.inputs, over)

    def labels(self, over: Rows) -> Ref[Any]:
        return self._of_data(self.common.labels, over)

    def index(self, over: Rows) -> Ref[Any]:
        return self._of_data(self.common.index, over)

    def attributes(self, over: Rows) -> Ref[dict[str, Any]]:
        """Per declared attribute one numpy array [rows]."""
        return self._of_data(self.common.attributes, over)

    def logits(self, over: Rows, *, dtype: str = "float32") -> Ref[Any]:
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype {dtype!r}: a forward pass is in float32 or float64")
        batch = max(1, BATCH_ELEMENTS // max(1, math.prod(self.input_shape)))
        size = min(4096, 1 << (batch.bit_length() - 1))
        return self.add(self.common.logits, model=self.model(), inputs=self.inputs(over), dtype=dtype, batch_size=size)

    def selected(self, over: Rows, where: Where | None) -> Ref[Any]:
        filters = _Filters(self, where)
        return self.add(
            self.common.selected,
            labels=self.labels(over),
            attributes=self.attributes(over) if filters.attributes else None,
            logits=self.logits(over) if filters.needs_model else None,
            of_label=filters.of_label,
            of_prediction=filters.of_prediction,
            correct=filters.correct,
            of_attributes=filters.attributes,
        )

    def count(self, over: Rows, where: Where | None = None) -> int | None:
        filters = _Filters(self, where)
        rows = self._range(over)
        if filters.needs_model:
            return None
        if filters.of_label is None and not filters.attributes:
            return len(rows)
        source = self._source(over)
        cut = slice(rows.start, rows.stop, rows.step)
        return len(
            matching(
                source.labels()[cut],
                of_label=filters.of_label,
                attributes={name: values[cut] for name, values in source.attributes().items()},
                of_attributes=filters.attributes,
            )
        )

    def _of_data(self, op: Op[..., T], over: Rows) -> Ref[T]:
        rows = self._range(over)
        parameters = {"source": self._source(over), "start": rows.start, "stop": rows.stop, "step": rows.step}
        task = make_task(op, parameters, self.environment)
        if task.digest not in self.tasks:
            self._keep(task, len(rows))
        return Ref(task.digest)

    def _keep(self, task: Task, rows: int | None) -> None:
        self.tasks[task.digest] = dataclasses.replace(task, rows=rows)

    def _source(self, over: Rows) -> Source:
        try:
            return self.subject.data[over.data]
        except KeyError:
            offered = ", ".join(self.subject.data) or "none"
            raise UsageError(f"no data source {over.data!r}; the spec declares {offered}") from None

    def _range(self, over: Rows) -> range:
        total = self._source(over).rows
        return range(total) if over.rows is None else range(*parse_slice(over.rows).indices(total))


class _Filters:
    """`where` with class indices for names."""

    def __init__(self, build: Builder, where: Where | None) -> None:
        where = where or Where()
        self.of_label = _indices(build, where.label)
        self.of_prediction = _indices(build, where.prediction)
        self.correct = where.correct
        self.attributes = dict(where.attributes)
        self.needs_model = self.of_prediction is not None or self.correct is not None


def _indices(build: Builder, names: str | tuple[str, ...] | None) -> tuple[int, ...] | None:
    if names is None:
        return None
    return tuple(build.class_index(name) for name in ((names,) if isinstance(names, str) else names))
