"""Pictures of inputs: pixelated, explanations in one shared colour map over grey, regions as dashed lines."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from auditor.records.evidence import Tile
from auditor.report.figures.canvas import Canvas

LEAST = 192
"""Side in px up to which small images are enlarged by whole factors, so that every viewer shows hard pixels."""


def draw_tile(tile: Tile, folder: Path, *, id: str, redact: bool = False) -> tuple[Canvas, ...]:
    """The tile's picture and, where it has an overlay, the explanation beside it. `redact` blurs both."""
    picture = _read(folder / f"{tile.image}.png")
    if redact:
        picture = _blurred(picture)
    drawn = [_framed(picture, tile, id=id, title=f"{tile.title}. {tile.note}".strip(" ."))]
    if tile.overlay is not None:
        heat = _heated(picture, _read(folder / f"{tile.overlay}.png"), blur=redact)
        drawn.append(_framed(heat, tile, id=f"{id}-o", title=f"{tile.title}: explanation over the input in grey"))
    return tuple(drawn)


def draw_grid(tiles: tuple[tuple[Tile, tuple[Canvas, ...]], ...], *, id: str, title: str) -> Canvas:
    """All tiles in one drawing, for the evidence folder."""
    columns = max(1, min(6, sum(len(drawn) for _, drawn in tiles)))
    side, gap = (657.0 - 8 * (columns - 1)) / columns, 8.0
    flat = [(tile if k == 0 else None, part) for tile, drawn in tiles for k, part in enumerate(drawn)]
    rows = -(-len(flat) // columns)
    canvas = Canvas(657, rows * (side + 34), title, id=id, kind="plot wide")
    for k, (tile, part) in enumerate(flat):
        x, y = k % columns * (side + gap), k // columns * (side + 34)
        inner = "".join(part.parts)
        canvas.parts.append(f'<g transform="translate({x:.2f} {y:.2f}) scale({side / part.width:.5f})">{inner}</g>')
        if tile is not None:
            canvas.text(x, y + side + 13, tile.title, size=9.75, fill="ink", weight=600)
            canvas.text(x, y + side + 26, tile.note, size=9.5)
    return canvas


def _framed(picture: Any, tile: Tile, *, id: str, title: str) -> Canvas:
    width, height = picture.size
    unit = 120.0 / max(width, height)
    canvas = Canvas(width * unit, height * unit, title, id=id, kind="patch")
    canvas.image(_embedded(picture), 0, 0, width * unit, height * unit)
    for top, left, tall, wide in tile.boxes:
        box = (left * unit, top * unit, wide * unit, tall * unit)
        canvas.rect(*box, None, stroke="ink", stroke_width=1.6)
        canvas.parts[-1] = canvas.parts[-1].replace('class="k-ink" ', "")
        canvas.rect(*box, None, stroke="paper", stroke_width=1.2, dash="3 2.4")
        canvas.parts[-1] = canvas.parts[-1].replace('class="k-paper" ', "")
    return canvas


def _read(path: Path) -> Any:
    from PIL import Image

    with Image.open(path) as image:
        image.load()
        return image.convert("RGB") if image.mode not in ("L", "RGB") else image.copy()


def _blurred(image: Any) -> Any:
    """Five pixels a side, smoothly enlarged: colour and layout stay, nobody is recognised."""
    from PIL import Image

    small = image.resize((5, 5), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def _heated(picture: Any, overlay: Any, *, blur: bool) -> Any:
    """The overlay's strength in the inferno map over the picture in grey."""
    import numpy as np
    from matplotlib import colormaps
    from PIL import Image

    size = (max(picture.size[0], overlay.size[0]), max(picture.size[1], overlay.size[1]))
    grey = np.asarray(picture.convert("L").resize(size, Image.Resampling.NEAREST), dtype=np.float64) / 255
    strength = np.asarray(overlay.convert("L").resize(size, Image.Resampling.NEAREST), dtype=np.float64) / 255
    colours = colormaps["inferno"](strength)[..., :3]
    share = (strength**0.6)[..., None] * 0.95
    mixed = (0.12 + 0.38 * grey)[..., None] * (1 - share) + colours * share
    return Image.fromarray((mixed.clip(0, 1) * 255).round().astype(np.uint8))


def _embedded(image: Any) -> str:
    from PIL import Image

    factor = max(1, LEAST // max(image.size))
    if factor > 1:
        image = image.resize((image.size[0] * factor, image.size[1] * factor), Image.Resampling.NEAREST)
    if max(image.size) > 512:
        image.thumbnail((512, 512))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
