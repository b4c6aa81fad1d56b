"""What a criterion measures on one influence: how much of it lies where. NaN where there is none to divide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Sign = Literal["positive", "abs"]


def spatial(influence: Float[Tensor, "batch *slice"]) -> Float[Tensor, "batch *spatial"]:
    """An image's influence per pixel: its channels summed, so that what they cancel does not count twice."""
    return influence.sum(dim=1) if influence.ndim == 4 else influence


def magnitude(influence: Float[Tensor, "batch *slice"], *, sign: Sign) -> Float[Tensor, "batch *slice"]:
    """max(χ, 0) for `positive`, |χ| for `abs`."""
    return influence.clamp(min=0) if sign == "positive" else influence.abs()


def mass(
    influence: Float[Tensor, "batch *slice"], region: Bool[Tensor, "*rows *spatial"], *, sign: Sign = "positive"
) -> Float[Tensor, " batch"]:
    """The share of the magnitude that lies inside `region`, in [0, 1]; NaN where the magnitude is zero everywhere."""
    size = magnitude(spatial(influence), sign=sign).double()
    inside = torch.where(region.to(size.device), size, 0.0)
    return (inside.flatten(1).sum(1) / size.flatten(1).sum(1)).clamp(max=1.0)


def mass_lift(
    influence: Float[Tensor, "batch *slice"], region: Bool[Tensor, "*rows *spatial"], *, sign: Sign = "positive"
) -> Float[Tensor, " batch"]:
    """Mass over the region's share of the area: 1 for a magnitude spread evenly, at most 1 / that share."""
    extent = spatial(influence).ndim - 1
    area = region.double().flatten(-extent).mean(-1).to(influence.device)
    return mass(influence, region, sign=sign) / area


def share(
    influence: Float[Tensor, "batch features"],
    region: Bool[Tensor, " features"],
    *,
    groups: Sequence[Sequence[int]] | None = None,
    scale: Float[Tensor, " features"] | None = None,
    sign: Sign = "abs",
) -> Float[Tensor, " batch"]:
    """The share of the magnitude that belongs to the features in `region`, in [0, 1]; NaN where there is none.

    `groups` are columns that are one feature (a one-hot encoding): their influences are summed before the magnitude is
    taken, as the channels of a pixel are. `scale` (the standard deviations) makes features of different units
    comparable: influence per standard deviation.
    """
    if influence.ndim != 2:
        raise ValueError(f"share is for tables; an influence here has shape {tuple(influence.shape[1:])}")
    scaled = influence if scale is None else influence * scale.to(influence)
    together = [[column] for column in range(influence.shape[1])] if groups is None else groups
    for columns in together:
        if len({bool(region[column]) for column in columns}) > 1:
            raise ValueError(f"columns {list(columns)} are one feature; the region holds only some of them")
    size = torch.stack([magnitude(scaled[:, list(columns)].sum(1), sign=sign) for columns in together], dim=1).double()
    inside = torch.tensor([bool(region[columns[0]]) for columns in together], device=size.device)
    return ((size * inside).sum(1) / size.sum(1)).clamp(max=1.0)
