"""Whether a region can lie in inputs of a shape, as far as the spec alone tells."""

from __future__ import annotations

from auditor.terms import AllOf, AnyOf, Border, Box, Features, Mask, Not, Region


def misfit(region: Region, shape: tuple[int, ...]) -> str | None:
    """Why `region` does not lie within inputs of `shape`, or holds all of one; None where the spec finds nothing wrong.

    Features and masks are names of data, so their columns and pixels are looked up when the data are read.
    """
    match region:
        case Not(region=inner):
            return misfit(inner, shape)
        case AnyOf(regions=several) | AllOf(regions=several):
            return next((why for each in several if (why := misfit(each, shape)) is not None), None)
        case Features():
            return None if len(shape) == 1 else f"features are regions of tables; an input here has shape {list(shape)}"
        case Mask():
            return None if len(shape) == 3 else f"masks are regions of images; an input here has shape {list(shape)}"
        case Border() | Box():
            if len(shape) != 3:
                return f"boxes and borders are regions of images; an input here has shape {list(shape)}"
            return _outside(region, *shape[1:])


def _outside(region: Border | Box, height: int, width: int) -> str | None:
    size = f"an image of {height}×{width} pixels"
    if isinstance(region, Border):
        if 2 * region.width >= min(height, width):
            return f"a border of {region.width} pixels is all of {size}"
        return None
    top, left, tall, wide = region.box
    if top + tall > height or left + wide > width:
        return f"the box {list(region.box)} (top, left, height, width) leaves {size}"
    if (tall, wide) == (height, width):
        return f"the box {list(region.box)} is all of {size}"
    return None
