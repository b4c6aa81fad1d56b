"""The audited model: a user's network between what the spec says of its input and of its output."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from auditor.errors import ModelError
from auditor.tensors import Inputs, Logits


class Normalize(nn.Module):
    """(x − mean) / std per channel, or per feature of a flat input."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", self._per_channel("mean", mean, input_shape))
        self.register_buffer("std", self._per_channel("std", std, input_shape))
        if not bool((self.std > 0).all()):
            raise ModelError(f"model.normalize.std is {list(std)}, expected positive numbers")

    @staticmethod
    def _per_channel(name: str, values: Sequence[float], input_shape: tuple[int, ...]) -> Tensor:
        channels = input_shape[0]
        if len(values) not in (1, channels) or not all(math.isfinite(value) for value in values):
            raise ModelError(
                f"model.normalize.{name} is {list(values)}, expected {channels} finite numbers, one per channel, or one"
            )
        return torch.tensor(values, dtype=torch.float32).reshape(-1, *[1] * (len(input_shape) - 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class Negate(nn.Module):
    """−f: turns a network whose lowest output wins into one whose highest does. Exact."""

    def forward(self, x: Tensor) -> Tensor:
        return -x


class ZeroFirst(nn.Module):
    """[0, f] of a single logit f, [batch, 1]. Exact; a tie at f = 0 goes to class 0."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((torch.zeros_like(x), x), dim=1)


class AuditedModel(nn.Module):
    """Inputs in the spec's units to logits [batch, classes], of which the highest wins.

    `normalize`, `network` and `decide` run in that order; the first and last are `Identity` where the spec asks for
    nothing. In eval mode, and it stays there: `.train()` would make dropout and batch statistics part of the audit.
    Parameters are frozen; `.double()` and `torch.func.functional_call` work as on any module.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        classes: Sequence[str],
        input_shape: Sequence[int],
        normalize: nn.Module | None = None,
        decide: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.normalize = normalize or nn.Identity()
        self.network = network
        self.decide = decide or nn.Identity()
        self.classes = tuple(classes)
        self.input_shape = tuple(input_shape)
        self.requires_grad_(False)
        self.eval()

    def forward(self, x: Inputs) -> Logits:
        return self.decide(self.network(self.normalize(x)))

    def train(self, mode: bool = True) -> AuditedModel:
        return super().train(False)

    def layer_names(self) -> tuple[str, ...]:
        """Dotted names of the network's modules, in the order they were declared; the network itself is not among
        them."""
        return tuple(name for name, _ in self.network.named_modules() if name)

    def layer(self, name: str) -> nn.Module:
        """The network's module of that dotted name. Raises ModelError with suggestions."""
        modules = dict(self.network.named_modules(remove_duplicate=False))
        if name and name in modules:
            return modules[name]
        close = difflib.get_close_matches(name, modules, n=1)
        raise ModelError(
            f"the network has no layer {name!r}; its layers are {', '.join(self.layer_names()) or 'none'}",
            remedy=f"did you mean {close[0]!r}?" if close else None,
            code="unknown-layer",
        )

    @property
    def parameter_count(self) -> int:
        """Numbers in the network's parameters, shared ones once; buffers are not counted."""
        return sum(parameter.numel() for parameter in self.network.parameters())
