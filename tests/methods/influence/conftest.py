"""A small network that has every kind of layer a slice can name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from auditor.methods.training.layers import MinMax


def convolutional(seed: int = 0) -> nn.Module:
    """Nested blocks, MinMax and ReLU, 3x8x8 images to five classes, float64."""
    torch.manual_seed(seed)
    model = nn.Sequential()
    model.add_module(
        "blocks",
        nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), MinMax(), nn.PixelUnshuffle(2)),
            nn.Sequential(nn.Conv2d(24, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)),
        ),
    )
    model.add_module("flatten", nn.Flatten())
    model.add_module("head", nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 5)))
    return model.double().eval()


@pytest.fixture
def network() -> nn.Module:
    return convolutional()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(7, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
