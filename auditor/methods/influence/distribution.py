"""Distributions of interest (thesis 3.2.2): over which points an influence must be faithful."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from auditor.tensors import Inputs
from auditor.terms import Distribution, Gaussian, Linear, Point, Population, Uniform

__all__ = ["Distribution", "Gaussian", "Linear", "Point", "Population", "Uniform", "baseline_of", "blurred", "sample"]


def baseline_of(
    distribution: Linear, z: Float[Tensor, "batch *slice"], rows: Int64[Tensor, " batch"]
) -> Float[Tensor, "batch *slice"]:
    """Where the line of each of `rows` begins, as a view where it can be one; a tensor is for all rows or has one each.

    Raises ValueError for a tensor that does not fit the slice, and for `mean` or a file, which are data: whoever holds
    the data passes the tensor.
    """
    match distribution.baseline:
        case "blur":
            return blurred(z)
        case str(name):
            raise ValueError(f"the baseline {name!r} is data this function does not have; pass it as a tensor")
        case Tensor() as tensor:
            try:
                each = tensor[rows.to(tensor.device)] if tensor.ndim == z.ndim and len(tensor) > 1 else tensor
                return each.to(z).expand(z.shape)
            except (RuntimeError, IndexError):
                found, wanted = tuple(tensor.shape), tuple(z.shape[1:])
                raise ValueError(f"a baseline of shape {found} does not fit a slice of shape {wanted}") from None
        case number:
            return z.new_tensor(float(number)).expand(z.shape)


def blurred(images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
    """Each channel smoothed by a Gaussian of a tenth of the shorter side (edges repeated), which leaves no detail.

    Raises ValueError for inputs that are not images.
    """
    if images.ndim != 4:
        raise ValueError(f"only images can be blurred; an input here has shape {tuple(images.shape[1:])}")
    channels, height, width = images.shape[1:]
    sigma = min(height, width) / 10
    radius = max(1, math.ceil(3 * sigma))
    steps = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (steps / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(channels, 1, 1, -1)
    padded = torch.nn.functional.pad(images, (radius,) * 4, mode="replicate")
    rows = torch.nn.functional.conv2d(padded, kernel, groups=channels)
    return torch.nn.functional.conv2d(rows, kernel.transpose(2, 3), groups=channels)


def sample(
    distribution: Gaussian | Uniform, z: Inputs, samples: int, *, generator: torch.Generator | None
) -> Float[Tensor, "batch samples *input"]:
    """`samples` independent points of each row's distribution."""
    points = z.unsqueeze(1).expand(-1, samples, *z.shape[1:]).clone()
    if isinstance(distribution, Gaussian):
        noise = torch.randn(points.shape, generator=generator, dtype=z.dtype, device=z.device)
        return points.add_(noise, alpha=distribution.std)
    if z.ndim != 2 or not isinstance(distribution.feature, int):
        raise ValueError("a uniform distribution is over one feature of a flat input, given by its index")
    if not 0 <= distribution.feature < z.shape[1]:
        raise ValueError(f"feature {distribution.feature} does not exist: an input has {z.shape[1]}")
    share = torch.rand(points.shape[:2], generator=generator, dtype=z.dtype, device=z.device)
    points[..., distribution.feature] = distribution.low + share * (distribution.high - distribution.low)
    return points
