"""Smaller networks for a scale-down on a CPU; radii stay in units of the whole image."""

from __future__ import annotations

from torch import nn

from auditor.methods.training.architectures import invertible_2c3f


def pooled(classes: int = 10, size: int = 64, pool: int = 4) -> nn.Sequential:
    """The network of thesis B.5, a quarter as wide, on images made `pool` times smaller by averaging.

    Averaging is the model's first layer: in the 2-norm it shrinks every distance by at least `pool`.
    """
    small = size // pool
    return nn.Sequential(nn.AvgPool2d(pool), *invertible_2c3f(classes, (3, small, small), widths=(16, 32), dense=128))
