"""The tasks that put a question to a network: shared by the checks of this family."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from auditor.plan.op import op
from auditor.terms import Distribution, Linear, Slice, Units

if TYPE_CHECKING:
    from torch import Tensor

VALUES = 1 << 18


class Explained(NamedTuple):
    """Of the selected rows: χ [rows, *slice], an image's channels summed; the rest as `Explanation` says."""

    influence: Tensor
    prediction: Tensor
    difference: Tensor
    residual: Tensor
    steps: Tensor


def batch_size(shape: tuple[int, ...]) -> int:
    """Points at a time: a power of two with about a quarter million input values, where caches help; 16 to 512."""
    power = max(1, VALUES // math.prod(shape)).bit_length() - 1
    return max(16, min(512, 1 << power))


@op(version=1)
def channel_mean(*, inputs: Tensor) -> Tensor:
    """Mean of each channel over rows and positions [channels, 1, 1], or of each feature [features]."""
    mean = inputs.double().mean(dim=0) if inputs.ndim == 2 else inputs.double().mean(dim=(0, *range(2, inputs.ndim)))
    return mean.to(inputs.dtype).view(-1, *(1,) * (inputs.ndim - 2))


@op(version=1)
def column_deviations(*, inputs: Tensor) -> Tensor:
    """Standard deviation of each feature [features]."""
    return inputs.double().std(dim=0).to(inputs.dtype)


@op(version=1, device=True, stored=False)
def randomised_copy(*, model: Any, seed: int) -> Any:
    """The model with every weight drawn anew."""
    from auditor.methods.influence import randomised

    return randomised(model, seed=seed)


@op(version=1, device=True)
def explain_rows(
    *,
    model: Any,
    inputs: Tensor,
    labels: Tensor,
    rows: Tensor,
    slice: Slice,
    quantity: Any,
    distribution: Distribution,
    baseline: Tensor | None,
    units: Units,
    max_steps: int,
    batch_size: int,
    device: str = "cpu",
    progress: Any = None,
) -> Explained:
    import dataclasses

    import torch

    from auditor.methods.influence import explain
    from auditor.methods.influence.metrics import spatial

    if len(rows) == 0:
        nothing = torch.zeros(0)
        return Explained(nothing, nothing.long(), nothing, nothing, nothing.long())
    if baseline is not None:
        assert isinstance(distribution, Linear)
        distribution = dataclasses.replace(distribution, baseline=baseline.to(device))
    found = explain(
        model,
        inputs[rows].to(device),
        slice=slice,
        quantity=quantity,
        distribution=distribution,
        units=units,
        labels=labels[rows].to(device),
        max_steps=max_steps,
        batch_size=batch_size,
        progress=progress,
    )
    return Explained(*(part.detach().cpu() for part in found._replace(influence=spatial(found.influence))))
