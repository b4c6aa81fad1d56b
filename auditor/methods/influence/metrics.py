"""What a criterion measures on one influence: how much of it lies where. NaN where there is none to divide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auditor.tensors import Labels

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
    together = [[column] for column in range(influence.shape[1])] if groups is None else groups
    for columns in together:
        if len({bool(region[column]) for column in columns}) > 1:
            raise ValueError(f"columns {list(columns)} are one feature; the region holds only some of them")
    shares = feature_shares(influence, groups=together, scale=scale, sign=sign)
    inside = torch.tensor([bool(region[columns[0]]) for columns in together], device=shares.device)
    return (shares * inside).sum(1).clamp(max=1.0)


def feature_shares(
    influence: Float[Tensor, "batch columns"],
    *,
    groups: Sequence[Sequence[int]],
    scale: Float[Tensor, " columns"] | None = None,
    sign: Sign = "abs",
) -> Float[Tensor, "batch features"]:
    """Each feature's share of the magnitude, as `share` counts it; a row sums to 1, or is NaN."""
    if influence.ndim != 2:
        raise ValueError(f"features have shares in tables; an influence here has shape {tuple(influence.shape[1:])}")
    scaled = influence if scale is None else influence * scale.to(influence)
    size = torch.stack([magnitude(scaled[:, list(columns)].sum(1), sign=sign) for columns in groups], dim=1).double()
    return size / size.sum(1, keepdim=True)


def top_k_overlap(
    influence: Float[Tensor, "batch units"], labels: Labels, *, k: int, generator: torch.Generator
) -> Float[Tensor, " batch"]:
    """|A∩B| / k of a row's k largest units by |χ| with those of the mean |χ| over other rows of its label, in [0, 1].

    The other rows are those of the other of two folds, drawn from `generator`, so that no row vouches for itself. NaN
    for a label whose other fold is empty. k units chosen at random out of u would overlap by k / u on average.
    """
    rows, units = influence.shape
    if not 0 < k < units:
        raise ValueError(f"the top {k} of {units} units: k must lie below the number of units")
    size = influence.abs().double()
    own = torch.zeros_like(size, dtype=torch.bool).scatter_(1, size.topk(k, dim=1).indices, True)
    overlap = torch.full((rows,), torch.nan, dtype=torch.float64)
    for label in labels.unique():
        members = (labels == label).nonzero().squeeze(1)
        members = members[torch.randperm(len(members), generator=generator)]
        first, second = members.tensor_split(2)
        for fold, other in ((first, second), (second, first)):
            if len(fold) and len(other):
                top = size[other].mean(0).topk(k).indices
                overlap[fold] = own[fold][:, top].double().mean(1)
    return overlap
