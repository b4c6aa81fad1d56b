"""One picture of each class, so that a reader of the report sees what the model sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from auditor.audit.folder import EVIDENCE, SAMPLES
from auditor.plan.op import op
from auditor.plan.task import make_task
from auditor.run.evaluator import Evaluator

if TYPE_CHECKING:
    import numpy as np

    from auditor.audit.prepare import Prepared
    from auditor.plan.subject import Source
    from auditor.run import Store
    from auditor.spec.check import Check

CLASSES = 20
"""Classes shown at most."""


@op(version=1)
def first_of_each(*, source: Source, classes: int, low: float, high: float) -> dict[str, np.ndarray]:
    """By class index the first row of that class as uint8 [height, width(, 3)]; `low` is black, `high` white."""
    import numpy as np

    labels = source.labels()
    shown = {}
    for label in range(classes):
        rows = np.flatnonzero(labels == label)
        if len(rows):
            image = source.read(slice(int(rows[0]), int(rows[0]) + 1))[0]
            grey = np.clip((image - low) / (high - low), 0, 1)
            pixels = np.rint(255 * np.moveaxis(grey, 0, -1)).astype(np.uint8)
            shown[str(label)] = np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    return shown


def sample_paths(pictures: Mapping[str, np.ndarray]) -> dict[int, str]:
    """By class index the picture's place in the output folder."""
    return {int(label): f"{EVIDENCE}/{SAMPLES}/{label}.png" for label in pictures}


def samples(prepared: Prepared, store: Store, checks: Mapping[str, Check]) -> tuple[str | None, dict[str, np.ndarray]]:
    """The source that `checks` look at first, and a picture of each class in it; nothing where inputs are no images."""
    document = prepared.document
    shape = tuple(document.model.input.shape)
    name = next((check.over.data for check in checks.values() if check.over is not None), None)
    if name is None or len(shape) != 3 or shape[0] not in (1, 3) or min(shape[1:]) < 2:
        return None, {}
    low, high = document.model.input.range or (0.0, 1.0)
    parameters = {
        "source": prepared.manifests[name],
        "classes": min(CLASSES, len(document.model.classes)),
        "low": float(low),
        "high": float(high),
    }
    task = make_task(first_of_each, parameters, prepared.plan.environment)
    return name, Evaluator({task.digest: task}, store).value(task.digest)
