"""What the results say about the model and the data beside their hashes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditor.audit.roles import LABELS, roles
from auditor.plan.op import op
from auditor.plan.task import make_task
from auditor.records import DataRecord, ModelRecord
from auditor.run.evaluator import Evaluator, TaskError
from auditor.spec.rows import parse_slice

if TYPE_CHECKING:
    from auditor.audit.prepare import Prepared
    from auditor.plan.subject import Model
    from auditor.run import Store
    from auditor.spec.check import Check


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


def data_records(
    prepared: Prepared, checks: Mapping[str, Check], *, sampled: str | None, paths: Mapping[int, str]
) -> dict[str, DataRecord]:
    """Per source its hash, its role, and how many of its rows `checks` take, by class.

    `paths` are pictures of classes, by class index, from the source `sampled`.
    """
    import numpy as np

    classes = prepared.document.model.classes
    taken = roles(checks)
    records = {}
    for name, source in prepared.manifests.items():
        own = {rows: role for rows, role in taken.items() if rows.data == name}
        used = np.zeros(source.rows, dtype=bool)
        for rows in own:
            used[slice(None) if rows.rows is None else parse_slice(rows.rows)] = True
        counts = np.bincount(source.labels()[used], minlength=len(classes)) if own else ()
        records[name] = DataRecord(
            path=source.path,
            sha256=source.sha256,
            rows=source.rows,
            role=", ".join(LABELS[role] for role in dict.fromkeys(own.values())),
            used=int(used.sum()),
            per_class={label: int(count) for label, count in zip(classes, counts, strict=False)},
            samples={classes[label]: path for label, path in paths.items()} if name == sampled else {},
        )
    return records
