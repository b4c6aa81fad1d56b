"""What a check adds to the run's certificate: its network's bounds, and what it concluded from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.plan.op import op
from auditor.records.certificate import LayerProof, NetworkProof
from auditor.terms import Norm

if TYPE_CHECKING:
    import numpy as np

    from auditor.methods.robustness import Bounds


@op(version=4, device=True)
def state_proof(
    *, model: Any, input_shape: tuple[int, ...], norm: Norm, bounds: Bounds
) -> tuple[NetworkProof, dict[str, np.ndarray]]:
    return network_proof(model, input_shape, norm, bounds)


def network_proof(
    model: Any, input_shape: tuple[int, ...], norm: Norm, bounds: Bounds
) -> tuple[NetworkProof, dict[str, np.ndarray]]:
    """The statement that `bounds` are of `model`, and its tensors by the names it uses."""
    from auditor.methods.robustness.statement import state

    layers: list[LayerProof] = []
    tensors: dict[str, np.ndarray] = {}
    for place, node in enumerate(state(model, input_shape, bounds)):
        weight = None
        if node.weight is not None:
            weight = f"{place:03d}.{node.name}"
            tensors[weight] = _compact(node.weight.cpu().contiguous().numpy())
        layers.append(LayerProof.model_validate(node._asdict() | {"weight": weight}))
    margins = tuple(tuple(row) for row in bounds.margins.cpu().tolist())
    return NetworkProof(
        norm=norm, input_shape=tuple(input_shape), layers=tuple(layers), network=bounds.network, margins=margins
    ), tensors


def _compact(values: np.ndarray) -> np.ndarray:
    """The same numbers in float32 where it holds them: half the file for a weight that nothing was folded into."""
    import numpy as np

    if values.dtype != np.float64:
        return values
    with np.errstate(over="ignore"):
        short = values.astype(np.float32)
    return short if np.array_equal(short, values) else values
