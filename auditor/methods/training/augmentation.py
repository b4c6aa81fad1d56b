"""Augmentation of images on the device they lie on: one resampling per batch, whatever is asked for (thesis A.4)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from auditor.methods.training.recipe import Augmentation
from auditor.tensors import Images


def augmented(images: Images, augmentation: Augmentation, *, generator: torch.Generator) -> Images:
    """`images`, each changed at random as `augmentation` says. What is drawn does not depend on the device.

    Shifts alone are of whole pixels; turned and zoomed images are interpolated between pixels, and the border repeats
    beyond the edge.
    """
    drawn = (2 * torch.rand(len(images), 6, generator=generator) - 1).to(images)
    flip, across, down, turn, zoom, light = drawn.unbind(1)
    if augmentation.flip:
        images = torch.where(_per_image(flip > 0), images.flip(3), images)
    if augmentation.shift or augmentation.rotate or augmentation.zoom:
        images = _resampled(images, augmentation, across, down, turn, zoom)
    if augmentation.brightness and augmentation.box is not None:
        low, high = augmentation.box
        images = (images + _per_image(light * augmentation.brightness * (high - low))).clamp(low, high)
    return images


def _resampled(
    images: Tensor, augmentation: Augmentation, across: Tensor, down: Tensor, turn: Tensor, zoom: Tensor
) -> Tensor:
    """Each output pixel (x, y), measured from the centre in pixels, is read at S·R·(x, y) + shift: S zooms, R turns."""
    height, width = images.shape[2:]
    x, y = across * augmentation.shift * width, down * augmentation.shift * height
    if not (augmentation.rotate or augmentation.zoom):
        x, y = x.round(), y.round()
    angle, scale = turn * math.radians(augmentation.rotate), 1 + zoom * augmentation.zoom
    along, aside = scale * angle.cos(), scale * angle.sin()
    # torch's grid runs from −1 to 1 along each side.
    rows = (along, -aside * height / width, 2 * x / width), (aside * width / height, along, 2 * y / height)
    placed = torch.stack([torch.stack(row, 1) for row in rows], 1)
    grid = functional.affine_grid(placed, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _per_image(values: Tensor) -> Tensor:
    return values.reshape(-1, 1, 1, 1)
