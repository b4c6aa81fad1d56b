"""What the results say about the model and the data beside their hashes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditor.plan.op import op
from auditor.plan.task import make_task
from auditor.records import DataRecord, ModelRecord
from auditor.run.evaluator import Evaluator, TaskError
from auditor.spec.rows import Rows, parse_slice

if TYPE_CHECKING:
    from auditor.audit.prepare import Prepared
    from auditor.plan.subject import Model
    from auditor.run import Store
    from auditor.spec.check import Check

ROLES = {
    "over": "what checks look at",
    "members": "what the model was trained on",
    "auxiliary": "what an attacker knows",
}


@op(version=1, device=True)
def describe_model(*, source: Model, device: str) -> dict[str, Any]:
    """The count of parameters. Loads the model, so that one which does not fit the spec ends the audit at its start."""
    return {"parameters": source.load(device).parameter_count}


def model_record(prepared: Prepared, store: Store) -> ModelRecord:
    """The model's hash and size; loaded once and then remembered. Raises ModelError, LoadRefused, HashMismatch."""
    task = make_task(describe_model, {"source": prepared.model}, prepared.plan.environment)
    try:
        described = Evaluator({task.digest: task}, store, device=prepared.devices[0]).value(task.digest)
    except TaskError as failed:
        raise failed.error from None
    section = prepared.document.model
    return ModelRecord(
        path=prepared.model.file.as_posix(),
        sha256=prepared.model.identity()["weights"],
        parameters=described["parameters"],
        architecture=section.architecture,
        input_shape=tuple(section.input.shape),
        input_range=section.input.range,
    )


def data_records(prepared: Prepared, checks: Mapping[str, Check]) -> dict[str, DataRecord]:
    """Per source its hash, what `checks` use it for, and how many rows of each class that is."""
    import numpy as np

    classes = prepared.document.model.classes
    records = {}
    for name, source in prepared.manifests.items():
        roles, taken = _uses(name, source.rows, checks)
        labels = source.labels()[np.flatnonzero(taken)]
        counts = np.bincount(labels, minlength=len(classes)) if len(labels) else []
        records[name] = DataRecord(
            path=str(source.path),
            sha256=source.sha256,
            rows=source.rows,
            role="; ".join(ROLES[role] for role in ROLES if role in roles),
            used=int(taken.sum()),
            per_class={label: int(count) for label, count in zip(classes, counts, strict=False)},
        )
    return records


def _uses(name: str, rows: int, checks: Mapping[str, Check]) -> tuple[set[str], Any]:
    """Which fields of checks name the source, and a mask [rows] of what they take of it."""
    import numpy as np

    roles: set[str] = set()
    taken = np.zeros(rows, dtype=bool)
    for check in checks.values():
        for role in ROLES:
            value = getattr(check, role, None)
            over = Rows(data=value) if isinstance(value, str) else value
            if isinstance(over, Rows) and over.data == name:
                roles.add(role)
                taken[slice(None) if over.rows is None else parse_slice(over.rows)] = True
    if name == "auxiliary" and any(check.type.startswith("privacy.") for check in checks.values()):
        roles.add("auxiliary")
    return roles, taken
