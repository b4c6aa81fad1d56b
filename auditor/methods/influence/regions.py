"""Regions of an input as boolean masks: of the pixels of an image, or of the columns of a flat input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import torch
from jaxtyping import Bool
from torch import Tensor

from auditor.terms import AllOf, AnyOf, Border, Box, Features, Mask, Not, Region


def mask(
    region: Region,
    shape: Sequence[int],
    feature_names: Sequence[str] | None = None,
    masks: Mapping[str, Tensor] | None = None,
) -> Bool[Tensor, "*rows *spatial"]:
    """True inside `region` of an input of `shape`: [height, width] of an image (channels first), or [features].

    `masks` holds the tensors that `Mask` sources stand for, [height, width] or one per row. Raises ValueError for a
    region that does not lie within the input, is empty, or is all of it: a share of all or nothing decides nothing.
    """
    inside = _inside(region, tuple(shape), feature_names, masks or {})
    if not inside.any():
        raise ValueError("the region is empty: it holds no part of an input")
    if inside.all():
        raise ValueError("the region is the whole input: all of the influence lies in it whatever the model")
    return inside


def columns(name: str, feature_names: Sequence[str]) -> tuple[int, ...]:
    """The columns of feature `name`: one, or those of its one-hot group, which are called `name=value`."""
    return tuple(i for i, column in enumerate(feature_names) if column == name or column.startswith(f"{name}="))


def groups(feature_names: Sequence[str]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The features behind the columns: each with its columns, in order of first appearance."""
    names = dict.fromkeys(column.split("=", 1)[0] for column in feature_names)
    return tuple((name, columns(name, feature_names)) for name in names)


def _inside(region: Region, shape: tuple[int, ...], names: Sequence[str] | None, masks: Mapping[str, Tensor]) -> Tensor:
    match region:
        case Not(region=inner):
            return ~_inside(inner, shape, names, masks)
        case AnyOf(regions=several):
            return reduce(torch.logical_or, (_inside(each, shape, names, masks) for each in several))
        case AllOf(regions=several):
            return reduce(torch.logical_and, (_inside(each, shape, names, masks) for each in several))
        case Features(names=wanted):
            return _features(wanted, shape, names)
        case Mask(source=source):
            return _mask(source, _spatial(shape), masks)
        case Border(width=width):
            height, breadth = _spatial(shape)
            inside = torch.ones(height, breadth, dtype=torch.bool)
            inside[width : max(width, height - width), width : max(width, breadth - width)] = False
            return inside
        case Box(box=(top, left, box_height, box_width)):
            height, breadth = _spatial(shape)
            if top + box_height > height or left + box_width > breadth:
                raise ValueError(
                    f"the box [{top}, {left}, {box_height}, {box_width}] (top, left, height, width) leaves the image"
                    f" of {height}×{breadth} pixels"
                )
            inside = torch.zeros(height, breadth, dtype=torch.bool)
            inside[top : top + box_height, left : left + box_width] = True
            return inside


def _spatial(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) not in (2, 3):
        raise ValueError(f"boxes, borders and masks are regions of images; an input here has shape {list(shape)}")
    return shape[-2], shape[-1]


def _features(wanted: Sequence[str], shape: tuple[int, ...], names: Sequence[str] | None) -> Tensor:
    if len(shape) != 1:
        raise ValueError(f"features are regions of tables; an input here has shape {list(shape)}")
    if names is None:
        raise ValueError("the features of these inputs have no names")
    inside = torch.zeros(shape[0], dtype=torch.bool)
    for name in wanted:
        found = columns(name, names)
        if not found:
            raise ValueError(f"no feature {name!r}; there are {', '.join(dict(groups(names)))}")
        inside[list(found)] = True
    return inside


def _mask(source: str, spatial: tuple[int, int], masks: Mapping[str, Tensor]) -> Tensor:
    if source not in masks:
        raise ValueError(f"the mask {source!r} is data this function does not have; pass it in masks")
    found = masks[source].bool()
    if tuple(found.shape[-2:]) != spatial:
        raise ValueError(f"the mask {source!r} has {tuple(found.shape)} pixels, an image {spatial}")
    return found
