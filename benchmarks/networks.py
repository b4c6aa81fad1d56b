"""The convolutional networks of thesis A.4, with their input shapes, orthogonally initialised."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from auditor.methods.training.layers import MinMax, orthogonal_


def two_c_two_f() -> tuple[nn.Module, tuple[int, ...]]:
    """2C2F on MNIST: c(16,4,2) c(32,4,2) d(100) d(10)."""
    return _network([(1, 16, 4, 2), (16, 32, 4, 2)], [32 * 49, 100, 10]), (1, 28, 28)


def six_c_two_f() -> tuple[nn.Module, tuple[int, ...]]:
    """6C2F on CIFAR-10: c(32,3,1) c(32,3,1) c(32,4,2) c(64,3,1) c(64,3,1) c(64,4,2) d(512) d(10)."""
    convolutions = [(3, 32, 3, 1), (32, 32, 3, 1), (32, 32, 4, 2), (32, 64, 3, 1), (64, 64, 3, 1), (64, 64, 4, 2)]
    return _network(convolutions, [64 * 64, 512, 10]), (3, 32, 32)


def _network(convolutions: list[tuple[int, int, int, int]], widths: list[int]) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs, size, stride in convolutions:
        layers += [nn.Conv2d(inputs, outputs, size, stride, padding=1), MinMax()]
    layers.append(nn.Flatten())
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), MinMax()]
    model = nn.Sequential(*layers[:-1])
    return orthogonal_(model, generator=torch.Generator().manual_seed(0)).eval().requires_grad_(False)
