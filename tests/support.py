"""Plan and run one check on a model and arrays in memory, through the real builder, scheduler and a temporary store.

    run_check(check, *, model, x, y, classes=None, train=None, auxiliary=None, sources=None, attributes=None,
              input_range=None, sets=None, training=None, feature_names=None, assumed=None, store=None,
              jobs=1) -> Judgement

`check` is an instance (`make_check(CertifiedRobustness, "epsilon: 0.1\\nrequire: {metric: vra, at_least: 0.5}")` reads
one from YAML); an absent `over` becomes the source `test`, which is `(x, y)`. `train` and `auxiliary` are pairs like
it, `sources` maps further names to pairs. `model` is any nn.Module from inputs to logits, or an `AuditedModel`. `sets`
are collections of class sets, of names or indices. What the check's task raised is raised here; Unavailable and
undecidable checks raise NotAvailable and Undecidable. `plan_check` with the same arguments stops after planning and
returns the Plan.
"""

from __future__ import annotations

import copy
import hashlib
import tempfile
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import yaml
from torch import nn

from auditor.checks.common.ops import COMMON
from auditor.digest import digest
from auditor.errors import NotAvailable, Undecidable
from auditor.loading import AuditedModel
from auditor.plan.compile import plan_checks
from auditor.plan.machine import environment
from auditor.plan.plan import Plan
from auditor.plan.subject import Subject
from auditor.records import Judgement
from auditor.run import Failure, Store, execute
from auditor.spec.check import Check
from auditor.spec.rows import Rows

C = TypeVar("C", bound=Check)
Pair = tuple[Any, Any]


def make_check(kind: type[C], body: str = "", *, name: str = "check/under-test", **fields: Any) -> C:
    """A check from its body in YAML, `type` and `name` filled in; `fields` come on top."""
    (declared,) = typing.get_args(kind.model_fields["type"].annotation)
    read = yaml.safe_load(body) or {}
    return kind.model_validate({"type": declared, "name": name, **read, **fields})


def run_check(check: Check, *, store: Path | Store | None = None, jobs: int = 1, **subject: Any) -> Judgement:
    """The judgement of `check` on what `subject` describes (see the module's docstring)."""
    plan = plan_check(check, **subject)
    with tempfile.TemporaryDirectory() as folder:
        kept = store if isinstance(store, Store) else Store(store or folder)
        result = execute(plan, store=kept, jobs=jobs).results[check.name]
    if isinstance(result, Failure):
        assert result.error is not None
        raise result.error
    return result


def plan_check(check: Check, *, model: nn.Module, x: Any, y: Any, **more: Any) -> Plan:
    """The plan of `check` alone."""
    if check.over is None:
        check = check.model_copy(update={"over": Rows(data="test")})
    if not check.name:
        check = check.model_copy(update={"name": "check/under-test"})
    plan = plan_checks(
        {check.name: check}, make_subject(model, x, y, **more), common=COMMON, environment=environment("cpu")
    )
    for missing in plan.unavailable:
        raise NotAvailable(str(missing))
    for undecided in plan.undecidable:
        raise Undecidable(str(undecided))
    return plan


def make_subject(
    model: nn.Module,
    x: Any,
    y: Any,
    *,
    classes: Sequence[str] | None = None,
    train: Pair | None = None,
    auxiliary: Pair | None = None,
    sources: Mapping[str, Pair] | None = None,
    attributes: Mapping[str, Any] | None = None,
    input_range: tuple[float, float] | None = None,
    sets: Mapping[str, Sequence[Sequence[Any]]] | None = None,
    training: Mapping[str, Any] | None = None,
    feature_names: Sequence[str] | None = None,
    assumed: Mapping[str, float] | None = None,
) -> Subject:
    """A subject of arrays and a module. Class names default to "0", "1", ...; `attributes` belong to `test`."""
    data = {"test": ArraySource(_array(x, np.float32), _array(y, np.int64), dict(attributes or {}))}
    for name, pair in {"train": train, "auxiliary": auxiliary, **(sources or {})}.items():
        if pair is not None:
            data[name] = ArraySource(_array(pair[0], np.float32), _array(pair[1], np.int64))
    shape = data["test"].inputs.shape[1:]
    if classes is None:
        with torch.no_grad():
            count = model(torch.zeros(1, *shape)).shape[1]
        classes = [str(number) for number in range(count)]
    names = tuple(classes)
    return Subject(
        classes=names,
        input_shape=tuple(shape),
        model=ModuleInMemory(model, names, tuple(shape)),
        data=data,
        input_range=input_range,
        sets={name: _indices(collection, names) for name, collection in (sets or {}).items()},
        training=training,
        feature_names=None if feature_names is None else tuple(feature_names),
        assumed=dict(assumed or {}),
    )


@dataclass(frozen=True)
class ArraySource:
    """A source of rows that are arrays already."""

    inputs: np.ndarray
    targets: np.ndarray
    columns: dict[str, Any] = field(default_factory=dict)

    def identity(self) -> Any:
        columns = {name: [str(item) for item in values] for name, values in self.columns.items()}
        return {"inputs": _sha256(self.inputs), "labels": _sha256(self.targets), "attributes": columns}

    @property
    def rows(self) -> int:
        return len(self.targets)

    def labels(self) -> np.ndarray:
        return self.targets

    def attributes(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(values) for name, values in self.columns.items()}

    def index(self) -> np.ndarray:
        return np.arange(self.rows, dtype=np.int64)

    def read(self, rows: slice) -> np.ndarray:
        return np.ascontiguousarray(self.inputs[rows])


@dataclass(frozen=True)
class ModuleInMemory:
    """A module that stands for a model file."""

    module: nn.Module
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]

    def identity(self) -> Any:
        weights = {name: _sha256(value.detach().cpu().numpy()) for name, value in self.module.state_dict().items()}
        return {"architecture": repr(self.module), "weights": digest(weights)}

    @property
    def nbytes(self) -> int:
        return sum(value.nbytes for value in self.module.state_dict().values())

    def load(self, device: str) -> AuditedModel:
        return audited(self.module, self.classes, self.input_shape).to(device)


def audited(module: nn.Module, classes: Sequence[str], input_shape: Sequence[int]) -> AuditedModel:
    """A copy of `module` as the `AuditedModel` that checks meet; one that is audited already is returned."""
    if isinstance(module, AuditedModel):
        return module
    return AuditedModel(copy.deepcopy(module), classes=classes, input_shape=input_shape)


def _array(value: Any, dtype: Any) -> np.ndarray:
    value = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    return np.ascontiguousarray(value, dtype=dtype)


def _indices(collection: Sequence[Sequence[Any]], names: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(names.index(item) if isinstance(item, str) else int(item) for item in one) for one in collection)


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(
        repr((array.shape, str(array.dtype))).encode() + np.ascontiguousarray(array).tobytes()
    ).hexdigest()
