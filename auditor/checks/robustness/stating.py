"""What a check adds to the run's certificate: its network's bounds, and what it concluded from them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from auditor.plan.op import op
from auditor.records.certificate import COMPUTED, INDEX, LayerProof, NetworkProof, Part
from auditor.terms import Norm

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from auditor.methods.robustness import Bounds
    from auditor.methods.robustness.origins import Origin
    from auditor.methods.robustness.statement import Stated


@op(version=8, device=True)
def state_proof(
    *, model: Any, input_shape: tuple[int, ...], norm: Norm, bounds: Bounds
) -> tuple[NetworkProof, dict[str, np.ndarray]]:
    return network_proof(model, input_shape, norm, bounds)


def network_proof(
    model: Any, input_shape: tuple[int, ...], norm: Norm, bounds: Bounds
) -> tuple[NetworkProof, dict[str, np.ndarray]]:
    """The statement that `bounds` are of `model`, and its tensors by the names it uses."""
    from auditor.methods.robustness.statement import state

    writer = _Writer(model)
    layers = [writer.layer(node) for node in state(model, input_shape, bounds)]
    margins = tuple(tuple(row) for row in bounds.margins.cpu().tolist())
    return NetworkProof(
        norm=norm, input_shape=tuple(input_shape), layers=tuple(layers), network=bounds.network, margins=margins
    ), writer.tensors


class _Writer:
    """Layers as records; `tensors` are what they name: the model's own as they are, others made by its code."""

    def __init__(self, model: Any) -> None:
        from auditor.methods.robustness.naming import Names

        self.names = Names(model)
        self.tensors: dict[str, np.ndarray] = {}

    def layer(self, node: Stated) -> LayerProof:
        fields = node._asdict()
        origin, weight = fields.pop("origin"), fields.pop("weight")
        own = None if origin is None else self._part(origin, node.name)
        name = None if weight is None else self._tensor(weight, node.name, f"{node.name}.weight")
        return LayerProof.model_validate(fields | {"map": own, "weight": name})

    def _part(self, origin: Origin, label: str) -> Part:
        of = tuple(self._part(each, label) for each in origin.of)
        viewed, hints = "view" in origin.options, origin.hints or [""] * len(origin.tensors)
        tensors = tuple(
            self._tensor(each, label, hint, viewed=viewed) for each, hint in zip(origin.tensors, hints, strict=False)
        )
        return Part(op=origin.op, of=of, tensors=tensors, options=origin.options)

    def _tensor(self, value: Tensor, label: str, hint: str = "", *, viewed: bool = False) -> str:
        if not value.is_floating_point():
            return self._keep(f"{INDEX}{label}", value)
        name = self.names.of(value, hint, viewed=viewed)
        return self._own(name) if name is not None else self._keep(f"{COMPUTED}{label}", value.detach().double())

    def _own(self, name: str) -> str:
        import torch

        tensor = self.names.tensors[name]
        # NumPy knows no bfloat16; float32 holds its numbers.
        tensor = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        self.tensors[name] = tensor.contiguous().numpy().copy()
        return name

    def _keep(self, label: str, value: Tensor) -> str:
        """Under a name that tells it from others of the same layer, in other checks too."""
        values = value.cpu().contiguous().numpy()
        name = f"{label}.{hashlib.sha256(values.tobytes()).hexdigest()[:8]}"
        self.tensors[name] = values
        return name
