"""Inputs as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether an input of this shape is one to look at: two sides of more than one pixel, with or without channels."""
    return len(shape) in (2, 3) and min(shape[-2:]) > 1


def as_image(values: np.ndarray, input_range: tuple[float, float] | None) -> np.ndarray:
    """uint8 [height, width] or [height, width, 3] of one input [channels, height, width] or [height, width].

    `input_range` becomes black and white; without one the input's own extremes do.
    """
    import numpy as np

    low, high = input_range or (float(values.min()), float(values.max()))
    if values.ndim == 3:
        values = np.moveaxis(values, 0, -1) if len(values) == 3 else values.mean(axis=0)
    scaled = (values - low) / (high - low if high > low else 1.0)
    return (255 * scaled.clip(0, 1)).round().astype(np.uint8)
