"""The colour tokens of the report, light and dark. Okabe–Ito blue is the data colour; ok, alert, warn mean status.

Text reaches a contrast of 4.5 on paper and on wash, lines and fills that carry meaning 3 (WCAG 2.2, AA).
"""

from __future__ import annotations

LIGHT = {
    "paper": "#ffffff",
    "wash": "#f5f6f8",
    "ink": "#14171c",
    "ink2": "#474e5b",
    "ink3": "#646b78",
    "rule": "#d5d9df",
    "rule2": "#e9ebef",
    "hatch": "#828c9a",
    "data": "#0072b2",
    "data2": "#4594c2",
    "data3": "#d6e8f3",
    "heat": "#0072b2",
    "link": "#00598c",
    "ok": "#00735a",
    "alert": "#ba4b08",
    "warn": "#8a6100",
}
DARK = {
    "paper": "#101317",
    "wash": "#181c22",
    "ink": "#eceff3",
    "ink2": "#b4bbc6",
    "ink3": "#8f97a4",
    "rule": "#343a44",
    "rule2": "#23282f",
    "hatch": "#677080",
    "data": "#4ba6de",
    "data2": "#2f6f96",
    "data3": "#17364a",
    "heat": "#2b78ab",
    "link": "#7cc0ea",
    "ok": "#3dbf9c",
    "alert": "#f08a4b",
    "warn": "#e0b04a",
}


def stylesheet() -> str:
    """Custom properties for both themes, and one fill and one stroke class a token (`f-ink`, `k-data`)."""
    light = "".join(f"--{name}:{colour};" for name, colour in LIGHT.items())
    dark = "".join(f"--{name}:{colour};" for name, colour in DARK.items())
    classes = "".join(f".f-{name}{{fill:var(--{name})}}.k-{name}{{stroke:var(--{name})}}" for name in LIGHT)
    return (
        f":root{{{light}--hatching:{_hatching(LIGHT)};color-scheme:light dark}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}--hatching:{_hatching(DARK)}}}}}\n{classes}\n"
    )


def _hatching(tokens: dict[str, str]) -> str:
    """Diagonal lines as a 5 px tile that joins without seams."""
    colour = tokens["hatch"].replace("#", "%23")
    return (
        "url(\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='5' height='5'%3E%3Cpath "
        f"d='M-1 1L1-1M0 5L5 0M4 6L6 4' stroke='{colour}' stroke-width='.8'/%3E%3C/svg%3E\")"
    )
