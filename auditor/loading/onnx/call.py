"""One node of an ONNX graph, as an operator's builder sees it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from auditor.errors import ModelError


class Call(NamedTuple):
    """One node: its operator, its attributes by name, its constant inputs by position, and the value it is applied
    to."""

    name: str
    kind: str
    attributes: dict[str, Any]
    constants: dict[int, np.ndarray]
    value: Tensor
    """A probe of the first input that is no constant, [3, ...]."""
    position: int
    """Which of the inputs that is."""
    single: bool
    """Whether the graph is written for a batch of exactly one input, so that a leading 1 means the batch."""

    def unsupported(self, why: str) -> ModelError:
        return ModelError(
            f"ONNX node {self.name!r}: {self.kind} {why}",
            remedy="save the weights as a state dict and name the architecture instead",
            code="onnx-operator",
        )

    def constant(self, position: int) -> Tensor | None:
        """A constant input as float32; None if the node has none at that place."""
        found = self.constants.get(position)
        return None if found is None else torch.from_numpy(np.array(found, dtype=np.float32))

    def integers(self, position: int, attribute: str) -> list[int] | None:
        """Integers that are an attribute in old operator sets and a constant input in new ones."""
        if attribute in self.attributes:
            found = self.attributes[attribute]
            return [found] if isinstance(found, int) else list(found)
        if position in self.constants:
            return [int(each) for each in np.atleast_1d(self.constants[position])]
        return None
