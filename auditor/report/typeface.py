"""The embedded faces: Inter, Inter Display and JetBrains Mono (SIL OFL 1.1), subset to Latin, Greek and mathematics."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "fonts"


@dataclass(frozen=True)
class Face:
    family: str
    weight: int
    style: str
    file: str


FACES = (
    Face("Inter", 400, "normal", "Inter-Regular"),
    Face("Inter", 500, "normal", "Inter-Medium"),
    Face("Inter", 600, "normal", "Inter-SemiBold"),
    Face("Inter Display", 600, "normal", "InterDisplay-SemiBold"),
    Face("JetBrains Mono", 400, "normal", "JetBrainsMono-Regular"),
)


@cache
def stylesheet() -> str:
    """`@font-face` rules with the faces inside, so that the page loads nothing."""
    return "".join(
        f'@font-face{{font-family:"{face.family}";font-weight:{face.weight};font-style:{face.style};font-display:swap;'
        f'src:url(data:font/woff2;base64,{_embedded(face.file)}) format("woff2")}}\n'
        for face in FACES
    )


def _embedded(file: str) -> str:
    return base64.b64encode((FOLDER / f"{file}.woff2").read_bytes()).decode("ascii")


def width(text: str, size: float, weight: int = 400) -> float:
    """How wide `text` is at `size` px in Inter of the nearest embedded weight, kerning left out."""
    advances, units = _advances("Inter-SemiBold" if weight >= 550 else "Inter-Regular")
    return sum(advances.get(ord(char), units * 0.62) for char in text) * size / units


@cache
def _advances(file: str) -> tuple[dict[int, float], int]:
    from fontTools.ttLib import TTFont

    font: Any = TTFont(FOLDER / f"{file}.woff2")
    metrics = font["hmtx"].metrics
    return {code: metrics[name][0] for code, name in font.getBestCmap().items()}, font["head"].unitsPerEm
