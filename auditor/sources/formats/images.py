"""Encoded images (JPEG, PNG, …) as arrays of pixels, channels first."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
LOSSLESS = {
    ("1", "L"),
    ("P", "RGB"),
    ("1", "RGB"),
    ("L", "RGB"),
    ("P", "RGBA"),
    ("LA", "RGBA"),
    ("RGB", "RGBA"),
    ("L", "RGBA"),
}
"""Conversions that lose nothing, so an image may take them to reach the model's number of channels."""


class Undecodable(Exception):
    """An image's bytes are broken, with what is wrong about them."""


def decode(data: bytes | None, shape: tuple[int, ...] | None) -> np.ndarray:
    """uint8 (uint16 for 16-bit grey) [channels, height, width]. Raises Undecodable.

    Where the model takes 3 channels a grey or palette image is widened, which loses nothing; never the other way, so
    an image with more channels keeps them and fails the check of shapes. Its own size is kept. Only the first frame
    of an animation is read."""
    import numpy as np
    from PIL import Image

    if not data:
        raise Undecodable("it holds no bytes")
    try:
        image = Image.open(io.BytesIO(data))
        if shape is not None and len(shape) == 3 and (image.height, image.width) != shape[1:]:
            return np.broadcast_to(np.uint8(0), (len(image.getbands()), image.height, image.width))
        wanted = MODES.get(shape[0]) if shape is not None and len(shape) == 3 else None
        if image.mode == "P" and wanted is None:
            image = image.convert("RGBA" if "transparency" in image.info else "RGB")
        elif wanted is not None and (image.mode, wanted) in LOSSLESS:
            transparent = image.mode == "P" and "transparency" in image.info
            image = image.convert("RGBA" if transparent else wanted)
        pixels = np.asarray(image)
    except Exception as error:
        raise Undecodable(str(error) or type(error).__name__) from error
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    elif pixels.dtype == np.int32 and image.mode == "I":
        pixels = pixels.astype(np.uint16)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
