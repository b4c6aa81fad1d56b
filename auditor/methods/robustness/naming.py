"""A model's tensors by what they hold: which of them a layer works with, whatever way it came there."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

Content = tuple[tuple[int, ...], str]


class Names:
    """Finds the entry of a model's state dict that holds the same numbers as a tensor."""

    def __init__(self, model: nn.Module) -> None:
        self.tensors = {
            name: tensor.detach().cpu()
            for name, tensor in model.state_dict().items()
            if isinstance(tensor, Tensor) and tensor.is_floating_point()
        }
        self._known: dict[Content, str] = {}
        for name, tensor in self.tensors.items():
            self._known.setdefault(_content(tensor), name)

    def of(self, value: Tensor) -> str | None:
        """The name of a tensor of this shape and these numbers; None where the model has no such tensor."""
        return self._known.get(_content(value))

    def inverse_of(self, value: Tensor) -> str | None:
        """As `of`, for the tensor whose inverses in float64 `value` holds."""
        for name, tensor in self.tensors.items():
            if tensor.shape == value.shape and torch.equal(tensor.double().reciprocal(), value.cpu().double()):
                return name
        return None


def _content(value: Tensor) -> Content:
    numbers = value.detach().cpu().double().contiguous().numpy()
    return tuple(value.shape), hashlib.sha256(numbers.tobytes()).hexdigest()
