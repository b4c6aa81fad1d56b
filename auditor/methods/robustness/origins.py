"""How a folded kernel came about, so that another program can fold it again from the model's own tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

Operation = Literal[
    "dense", "convolution", "normalization", "scale", "identity", "gathered", "then", "sum", "stack"
]  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """An operation, on tensors or on what other operations give; `options` hold its geometry as JSON, `hints` what the
    tensors are called in the model if they are its own.

    `dense`, `convolution`: of one kernel. `normalization`: of each channel, by a variance and a gain. `scale`: of each
    entry. `identity`. `gathered`: the factors of the scaling before it, by an index. `then`: the second of `of` after
    the first. `sum`: with `signs`. `stack`: results one after the other along `dim`, counted with the batch.
    """

    op: Operation
    of: tuple[Origin, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    hints: tuple[str, ...] = ()


def then(first: Origin | None, second: Origin | None) -> Origin | None:
    """`second` after `first`; None where either is not known."""
    return None if first is None or second is None else Origin("then", (first, second))


def joined(op: Literal["sum", "stack"], parts: list[Origin | None], **options: Any) -> Origin | None:
    """Several maps of one value, summed or stacked; None where one is not known."""
    known = tuple(part for part in parts if part is not None)
    return Origin(op, known, options=options) if len(known) == len(parts) else None


def shaped(
    op: Operation,
    shape: tuple[int, ...],
    *tensors: Tensor,
    of: tuple[Origin, ...] = (),
    hints: tuple[str, ...] = (),
    **more: Any,
) -> Origin:
    """An operation that keeps the shape of what it takes."""
    return Origin(op, of, tensors, {"shape": list(shape), **more}, hints)


def convolved(layer: Any, weight: Tensor, axes: tuple[Any, ...], name: str) -> Origin:
    """The kernel `weight` of the convolution `layer`, which the model calls `name`, on these axes."""
    geometry = {"axes": [list(axis) for axis in axes], "groups": layer.groups, "mode": layer.padding_mode}
    return Origin("convolution", (), (weight,), geometry, (f"{name}.weight",))
