"""Networks of thesis A.4 to measure on, with their input shapes: orthogonally initialised, in eval mode, frozen."""

from __future__ import annotations

import torch
from torch import nn

from auditor.methods.training.architectures import gloro_2c2f, gloro_6c2f
from auditor.methods.training.layers import orthogonal_


def two_c_two_f() -> tuple[nn.Module, tuple[int, ...]]:
    """2C2F on MNIST."""
    return _frozen(gloro_2c2f()), (1, 28, 28)


def six_c_two_f() -> tuple[nn.Module, tuple[int, ...]]:
    """6C2F on CIFAR-10."""
    return _frozen(gloro_6c2f()), (3, 32, 32)


def _frozen(model: nn.Module) -> nn.Module:
    return orthogonal_(model, generator=torch.Generator().manual_seed(0)).eval().requires_grad_(False)
