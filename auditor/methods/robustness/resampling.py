"""Lipschitz constants of layers that pad or enlarge images.

A layer that only copies pixels, whatever the pattern, stretches the 2-norm by the root of the most copies of one
pixel; the ∞-norm not at all. The copies are counted on an image of the pixels' own numbers. Linear interpolation
separates into axes, and each axis is a matrix like that of average pooling; its rows are weights that sum to 1.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import Unsupported
from auditor.methods.robustness.pooling import spread
from auditor.methods.robustness.rounding import UNIT, multiply_up, sqrt_up
from auditor.methods.robustness.separable import axis_norm_upper
from auditor.terms import Norm

PADDINGS: dict[type[nn.Module], tuple[int, str]] = {
    nn.ZeroPad1d: (1, "constant"),
    nn.ZeroPad2d: (2, "constant"),
    nn.ZeroPad3d: (3, "constant"),
    nn.ConstantPad1d: (1, "constant"),
    nn.ConstantPad2d: (2, "constant"),
    nn.ConstantPad3d: (3, "constant"),
    nn.ReflectionPad1d: (1, "reflect"),
    nn.ReflectionPad2d: (2, "reflect"),
    nn.ReflectionPad3d: (3, "reflect"),
    nn.ReplicationPad1d: (1, "replicate"),
    nn.ReplicationPad2d: (2, "replicate"),
    nn.ReplicationPad3d: (3, "replicate"),
    nn.CircularPad1d: (1, "circular"),
    nn.CircularPad2d: (2, "circular"),
    nn.CircularPad3d: (3, "circular"),
}
"""Number of axes and torch's mode of each padding layer."""

UPSAMPLINGS = (nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d)
COPYING = ("nearest", "nearest-exact")
INTERPOLATIONS = (*COPYING, "linear", "bilinear", "trilinear")

COUNTABLE = 2**24
"""Pixels whose numbers float32 holds exactly."""


def padding_upper(layer: Any, input_shape: tuple[int, ...], *, norm: Norm = "l2") -> float:
    """Never below the Lipschitz constant in `norm` of a padding layer, which is exact; negative padding crops."""
    _, mode = PADDINGS[type(layer)]
    if norm == "linf" or mode == "constant":
        return 1.0
    numbers = _numbered(input_shape[1:], torch.float64)
    return sqrt_up(float(_most_copies(layer(numbers))))


def upsampling_upper(layer: Any, input_shape: tuple[int, ...], *, norm: Norm = "l2", node: str | None = None) -> float:
    """Never below the Lipschitz constant in `norm` of an up-sampling (or down-sampling) layer on `input_shape`.

    Raises Unsupported where float32 and float64 choose different pixels: the layer is then two functions.
    """
    sizes = input_shape[1:]
    if layer.mode in COPYING:
        moved = layer(_numbered(sizes, torch.float64))
        if math.prod(sizes) > COUNTABLE or not torch.equal(moved, layer(_numbered(sizes, torch.float32)).double()):
            raise Unsupported(
                f"{node or 'up-sampling'}: float32 and float64 round its scale to different pixels",
                node=node,
                remedy="give a whole scale_factor, or size=",
            )
        return 1.0 if norm == "linf" else sqrt_up(float(_most_copies(moved)))
    if norm == "linf":
        return 1.0
    return multiply_up(*(_interpolation_upper(layer, sizes, place) for place in range(len(sizes))))


def _interpolation_upper(layer: Any, sizes: tuple[int, ...], place: int) -> float:
    """The 2-norm of linear interpolation along one axis.

    A weight is the fraction of a position below n found by four roundings, so it errs by at most 8nu, in at most three
    entries of a row where the position lies on a pixel's edge.
    """

    def interpolate(rows: Tensor) -> Tensor:
        return functional.interpolate(
            rows,
            size=None if layer.size is None else spread(layer.size, len(sizes))[place],
            scale_factor=None if layer.scale_factor is None else spread(layer.scale_factor, len(sizes))[place],
            mode="linear",
            align_corners=layer.align_corners,
            recompute_scale_factor=layer.recompute_scale_factor,
        )

    return axis_norm_upper(interpolate, sizes[place], absolute_error=8 * sizes[place] * UNIT, touched=3)


def _numbered(sizes: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """An image [1, 1, *sizes] whose pixels are 0, 1, 2 …"""
    return torch.arange(math.prod(sizes), dtype=dtype).reshape(1, 1, *sizes)


def _most_copies(moved: Tensor) -> int:
    return int(torch.bincount(moved.flatten().to(torch.int64)).max()) if moved.numel() else 0
