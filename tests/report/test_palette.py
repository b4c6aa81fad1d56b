"""Colours that can be told apart: each token against its ground, in both themes (WCAG 2.2: 1.4.3 and 1.4.11)."""

from __future__ import annotations

import pytest

from auditor.report.figures.heatmap import DEEPEST
from auditor.report.figures.palette import DARK, LIGHT

THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
TEXT = ("ink", "ink2", "ink3", "link", "data", "ok", "alert", "warn")
SHAPES = ("hatch", "data2")


def luminance(colour: str) -> float:
    shares = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def laid(colour: str, ground: str, opacity: float) -> str:
    """`colour` as seen through `opacity` on `ground`."""
    mixed = [
        round(int(colour[k : k + 2], 16) * opacity + int(ground[k : k + 2], 16) * (1 - opacity)) for k in (1, 3, 5)
    ]
    return "#" + "".join(f"{value:02x}" for value in mixed)


def test_contrast_of_black_and_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@THEMES
@pytest.mark.parametrize("ground", ["paper", "wash"])
def test_text_and_shapes_stand_out(theme: dict[str, str], ground: str) -> None:
    assert {name for name in TEXT if contrast(theme[name], theme[ground]) < 4.5} == set()
    assert {name for name in SHAPES if contrast(theme[name], theme[ground]) < 3} == set()


@THEMES
def test_a_number_in_a_heat_map_is_read_on_every_tint(theme: dict[str, str]) -> None:
    for k in range(101):
        cell = laid(theme["heat"], theme["wash"], DEEPEST * k / 100)
        assert contrast(theme["ink"], cell) >= 4.5
