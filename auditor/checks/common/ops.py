"""The ops every family shares: the model, the rows, their labels, the forward pass, the filter.

Model and inputs are not stored: they are made again in a process that needs them, and dropped when nothing else does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from auditor.plan.builder import CommonOps
from auditor.plan.matching import matching
from auditor.plan.op import op
from auditor.plan.subject import Model, Source

if TYPE_CHECKING:
    import numpy as np
    import torch

    from auditor.loading import AuditedModel


@op(version=1, device=True, stored=False)
def load_model(*, source: Model, device: str) -> AuditedModel:
    """The audited model on the audit's device, in eval mode."""
    return source.load(device)


@op(version=1, stored=False)
def read_inputs(*, source: Source, stop: int, start: int = 0, step: int = 1) -> torch.Tensor:
    """float32 [rows, *input_shape], on the CPU."""
    import torch

    return torch.from_numpy(source.read(slice(start, stop, step)))


@op(version=1)
def read_labels(*, source: Source, stop: int, start: int = 0, step: int = 1) -> torch.Tensor:
    """int64 [rows]."""
    import torch

    return torch.from_numpy(source.labels()[start:stop:step].copy())


@op(version=1)
def read_index(*, source: Source, stop: int, start: int = 0, step: int = 1) -> torch.Tensor:
    """int64 [rows]: each row's number in its source file."""
    import torch

    return torch.from_numpy(source.index()[start:stop:step].copy())


@op(version=1)
def read_attributes(*, source: Source, stop: int, start: int = 0, step: int = 1) -> dict[str, np.ndarray]:
    """Per declared attribute one array [rows]."""
    return {name: values[start:stop:step].copy() for name, values in source.attributes().items()}


@op(version=2, device=True)
def forward(
    *,
    model: AuditedModel,
    inputs: torch.Tensor,
    dtype: str,
    batch_size: int,
    device: str,
    progress: Callable[[int, int], None],
) -> torch.Tensor:
    """Logits [rows, classes] in `dtype`, on the CPU. In float64 both the weights and the arithmetic are float64, and
    convolutions are plain sums of products, as the bound on their error presumes.
    """
    import contextlib
    import copy

    import torch

    from auditor.methods.robustness.arithmetic import plain_convolutions

    kind = {"float32": torch.float32, "float64": torch.float64}[dtype]
    network = model if kind is torch.float32 else copy.deepcopy(model).to(kind)
    summed = plain_convolutions() if kind is torch.float64 else contextlib.nullcontext()
    parts = []
    with torch.inference_mode(), summed:
        for start in range(0, len(inputs), batch_size):
            batch = inputs[start : start + batch_size].to(device, kind)
            parts.append(network(batch).cpu())
            progress(min(start + batch_size, len(inputs)), len(inputs))
    return torch.cat(parts) if parts else torch.empty(0, len(model.classes), dtype=kind)


@op(version=1)
def select_rows(
    *,
    labels: torch.Tensor,
    attributes: Mapping[str, Any] | None,
    logits: torch.Tensor | None,
    of_label: tuple[int, ...] | None,
    of_prediction: tuple[int, ...] | None,
    correct: bool | None,
    of_attributes: Mapping[str, str | int | float | bool],
) -> torch.Tensor:
    """int64 positions, ascending, of the rows that satisfy a check's `where`."""
    import torch

    positions = matching(
        labels.numpy(),
        predicted=None if logits is None else logits.argmax(1).numpy(),
        attributes=attributes,
        of_label=of_label,
        of_prediction=of_prediction,
        correct=correct,
        of_attributes=of_attributes,
    )
    return torch.from_numpy(positions)


COMMON = CommonOps(
    model=load_model,
    inputs=read_inputs,
    labels=read_labels,
    index=read_index,
    attributes=read_attributes,
    logits=forward,
    selected=select_rows,
)
"""What `auditor.plan.compile` is given as `common`."""
