"""Layers of networks made to be certified (thesis 6.3.2, B.5), and weights for them to start from.

The activations lie in `auditor.methods.layers`, below the certifier that knows them by type.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from auditor.methods.layers import GroupSort, Householder, MinMax

__all__ = [
    "GroupSort",
    "Householder",
    "LinearResidual",
    "MinMax",
    "invertible_downsampling",
    "orthogonal_",
    "orthogonal_operator_",
]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class LinearResidual(nn.Module):
    """MinMax(x + conv(x)), the block of LiResNet (Hu et al. 2023): 3×3, as many channels out as in, zero padding.

    The sum is one convolution whose kernel has 1 added at its centre, and is bounded as that: deep stacks of blocks
    start near the identity and cost one norm each.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.activation = MinMax()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.convolution(x))


def invertible_downsampling(factor: int = 2) -> nn.PixelUnshuffle:
    """[c, h, w] to [c·factor², h/factor, w/factor] by moving pixels into channels (thesis B.5): no pixel is lost, and
    distances stay as they are."""
    return nn.PixelUnshuffle(factor)


def orthogonal_(
    module: nn.Module,
    *,
    generator: torch.Generator | None = None,
    convolutions: Literal["kernel", "operator"] = "kernel",
) -> nn.Module:
    """Gives every dense and convolutional layer an orthogonal weight and a zero bias, in place.

    `kernel` makes the matrix [out, rest] of a convolution orthogonal, as the thesis does (6.3.2, table A.3): the
    convolution itself then stretches by up to the root of its number of taps. `operator` makes the convolution
    orthogonal (`orthogonal_operator_`), so that neither signal nor bound grows with depth.
    """
    for layer in module.modules():
        if isinstance(layer, CONVOLUTIONS) and convolutions == "operator":
            orthogonal_operator_(layer, generator=generator)
        elif isinstance(layer, (nn.Linear, *CONVOLUTIONS)):
            _draw_orthogonal(layer.weight, generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module


def orthogonal_operator_(
    layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, *, generator: torch.Generator | None = None
) -> nn.Module:
    """Makes a convolution orthogonal as a linear map of whole images, with a zero bias, in place.

    Its kernel is zero but for as many taps an axis as it strides, around the centre; these read disjoint patches, so an
    orthogonal matrix [out, in·taps] on them makes an orthogonal map, up to patches that reach into the padding. With
    stride 1 that is the delta-orthogonal kernel of Xiao et al. (2018). Where a stride exceeds the kernel, every tap is
    used. Groups each get a matrix of their own.
    """
    sizes = [min(stride, taps) for stride, taps in zip(layer.stride, layer.kernel_size, strict=True)]
    centre = tuple(
        slice((taps - size) // 2, (taps - size) // 2 + size)
        for size, taps in zip(sizes, layer.kernel_size, strict=True)
    )
    with torch.no_grad():
        layer.weight.zero_()
        for rows in layer.weight.chunk(layer.groups):
            patch = rows[(slice(None), slice(None), *centre)]
            _draw_orthogonal(patch, generator)
        if layer.bias is not None:
            layer.bias.zero_()
    return layer


@torch.no_grad()
def _draw_orthogonal(weight: Tensor, generator: torch.Generator | None) -> None:
    """Drawn on the CPU, where `generator` lives, whatever the weight's place."""
    weight.copy_(nn.init.orthogonal_(torch.empty_like(weight, device="cpu"), generator=generator))
