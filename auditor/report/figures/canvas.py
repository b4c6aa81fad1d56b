"""An SVG under construction: shapes in token colours, text that can be selected, every string escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal

from auditor.report.figures.palette import LIGHT
from auditor.report.typeface import width as text_width

Anchor = Literal["start", "middle", "end"]
Point = tuple[float, float]
FONT = "Inter, system-ui, 'Helvetica Neue', Arial, sans-serif"


def num(value: float) -> str:
    """A coordinate with two decimals at most, the same on every machine."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


class Canvas:
    """A drawing of `width` × `height` px with `title` as its alternative text. `id` sets its ids apart."""

    def __init__(self, width: float, height: float, title: str, *, id: str, kind: str = "plot") -> None:
        self.width, self.height, self.title, self.id, self.kind = width, height, title, id, kind
        self.parts: list[str] = []
        self.clips = 0

    def line(
        self, a: Point, b: Point, stroke: str = "ink", width: float = 1.0, *, dash: str = "", cap: str = "butt"
    ) -> None:
        self.parts.append(
            f'<line x1="{num(a[0])}" y1="{num(a[1])}" x2="{num(b[0])}" y2="{num(b[1])}"'
            f"{_stroke(stroke, width, dash, cap)}/>"
        )

    def rect(
        self, x: float, y: float, width: float, height: float, fill: str | None = "data", *, stroke: str | None = None,
        stroke_width: float = 1.0, dash: str = "", opacity: float | None = None, radius: float = 0.0
    ) -> None:  # fmt: skip
        rounded = f' rx="{num(radius)}"' if radius else ""
        self.parts.append(
            f'<rect x="{num(x)}" y="{num(y)}" width="{num(max(width, 0))}" height="{num(max(height, 0))}"{rounded}'
            f"{_paint(fill, stroke, stroke_width, dash, opacity)}/>"
        )

    def circle(
        self, centre: Point, radius: float, fill: str | None = "data", *, stroke: str | None = None, width: float = 1.0
    ) -> None:
        self.parts.append(
            f'<circle cx="{num(centre[0])}" cy="{num(centre[1])}" r="{num(radius)}"{_paint(fill, stroke, width)}/>'
        )

    def path(
        self, d: str, *, fill: str | None = None, stroke: str | None = "ink", width: float = 1.0, dash: str = "",
        opacity: float | None = None, clip: str = "", join: str = "round"
    ) -> None:  # fmt: skip
        inside = f' clip-path="url(#{clip})"' if clip else ""
        self.parts.append(
            f'<path d="{d}" stroke-linejoin="{join}"{inside}{_paint(fill, stroke, width, dash, opacity)}/>'
        )

    def polyline(self, points: Sequence[Point], stroke: str = "data", width: float = 1.75, *, dash: str = "") -> None:
        self.path(polygon(points, close=False), stroke=stroke, width=width, dash=dash)

    def text(
        self, x: float, y: float, text: str, *, size: float = 10.0, fill: str = "ink2", anchor: Anchor = "start",
        weight: int = 400, rotate: float | None = None, backing: bool = False
    ) -> None:  # fmt: skip
        """`y` is the base line. `backing` puts paper behind the text, for text on hatching."""
        if backing:
            wide = text_width(text, size, weight)
            left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
            self.rect(left - 3, y - size * 0.95, wide + 6, size * 1.3, "paper")
        turned = "" if rotate is None else f' transform="rotate({num(rotate)} {num(x)} {num(y)})"'
        heavy = "" if weight == 400 else f' font-weight="{weight}"'
        set_at = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self.parts.append(
            f'<text x="{num(x)}" y="{num(y)}" font-size="{num(size)}"{heavy}{set_at}{turned}{_paint(fill, None)}>'
            f"{escape(clean(text))}</text>"
        )

    def hatch_rect(
        self, x: float, y: float, width: float, height: float, stroke: str = "hatch", *, gap: float = 4.0
    ) -> None:
        """Diagonal lines inside a rectangle, cut exactly, so nothing needs clipping."""
        if width <= 0 or height <= 0:
            return
        segments = []
        total = gap * (int((x + y) / gap) + 1)
        while total < x + width + y + height:
            left = max(x, total - y - height)
            right = min(x + width, total - y)
            if right - left > 0.2:
                segments.append(f"M{num(left)} {num(total - left)}L{num(right)} {num(total - right)}")
            total += gap
        if segments:
            self.path("".join(segments), stroke=stroke, width=0.8)

    def hatch_area(self, points: Sequence[Point], stroke: str = "hatch", *, gap: float = 4.0) -> None:
        """Diagonal lines inside a polygon."""
        self.clips += 1
        name = f"{self.id}-clip{self.clips}"
        self.parts.append(f'<clipPath id="{escape(name)}"><path d="{polygon(points)}"/></clipPath>')
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        x0, x1, y0, y1 = min(xs), max(xs), min(ys), max(ys)
        total, segments = gap * (int((x0 + y0) / gap) + 1), []
        while total < x1 + y1:
            left, right = max(x0, total - y1), min(x1, total - y0)
            segments.append(f"M{num(left)} {num(total - left)}L{num(right)} {num(total - right)}")
            total += gap
        self.path("".join(segments), stroke=stroke, width=0.8, clip=name)

    def image(self, href: str, x: float, y: float, width: float, height: float) -> None:
        self.parts.append(
            f'<image href="{escape(href)}" x="{num(x)}" y="{num(y)}" width="{num(width)}" height="{num(height)}" '
            'preserveAspectRatio="none" style="image-rendering:pixelated"/>'
        )

    def svg(self, *, standalone: bool = False) -> str:
        """The drawing for a page, or with `standalone` as a file of its own on white paper."""
        ground = (
            f'<rect width="{num(self.width)}" height="{num(self.height)}" fill="{LIGHT["paper"]}"/>'
            if standalone
            else ""
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{self.kind}" '
            f'viewBox="0 0 {num(self.width)} {num(self.height)}" '
            f'width="{num(self.width)}" height="{num(self.height)}" role="img" font-family="{FONT}">'
            f"<title>{escape(clean(self.title))}</title>{ground}{''.join(self.parts)}</svg>"
        )


def polygon(points: Iterable[Point], *, close: bool = True) -> str:
    return "M" + "L".join(f"{num(x)} {num(y)}" for x, y in points) + ("Z" if close else "")


def clean(text: str) -> str:
    """`text` without the control characters that XML cannot hold."""
    return "".join(
        char if char >= " " and char not in "\ufffe\uffff" and not "\ud800" <= char <= "\udfff" else " "
        for char in text
    )


def _stroke(colour: str, width: float, dash: str = "", cap: str = "butt") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    capped = f' stroke-linecap="{cap}"' if cap != "butt" else ""
    return f' class="k-{colour}" stroke="{LIGHT[colour]}" stroke-width="{num(width)}"{dashed}{capped}'


def _paint(
    fill: str | None, stroke: str | None, width: float = 1.0, dash: str = "", opacity: float | None = None
) -> str:
    names = [f"f-{fill}"] if fill else []
    parts = [f'fill="{LIGHT[fill]}"' if fill else 'fill="none"']
    if stroke:
        names.append(f"k-{stroke}")
        parts.append(f'stroke="{LIGHT[stroke]}" stroke-width="{num(width)}"')
    if dash:
        parts.append(f'stroke-dasharray="{dash}"')
    if opacity is not None:
        parts.append(f'fill-opacity="{num(opacity)}"')
    return f' class="{" ".join(names)}" ' + " ".join(parts) if names else " " + " ".join(parts)
