"""Draws thesis figure 7.2 from our own nets: what relaxed guarantees buy where classes overlap.

    python docs/pictures/toy.py [docs/pictures/toy.svg]

Four classes in the plane, neighbours overlapping; four nets of one shape, trained to predict, to be robust, to be RT2
robust and to be robust up to confusions within two pairs of classes. Each place takes the colour of the smallest set of
classes that is proved not to change within ε, and stays white where there is none: the net abstains.
"""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from auditor.methods.robustness import bound_model, certify
from auditor.methods.training import Adam, CrossEntropy, GloRo, MinMax, Recipe, Schedule, orthogonal_, train
from auditor.terms import Affinity, Standard, TopK

EPSILON = 0.12
CENTRES = torch.tensor([[-0.55, 0.45], [0.5, 0.6], [0.55, -0.5], [-0.5, -0.55]])
SPREAD, ROWS = 0.3, 400
COLOURS = torch.tensor([[0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167]], dtype=torch.float64)
"""Of the classes (Okabe and Ito); a set of two has the colour between theirs, hatched with white."""
PAIRS = Affinity(((0, 1), (2, 3)))
PIXELS, SIDE, GAP = 220, 220, 16


class Panel(NamedTuple):
    title: str
    guarantee: Standard | TopK | Affinity | None
    recipe: Recipe


def recipe(objective: CrossEntropy | GloRo) -> Recipe:
    return Recipe(60, 64, objective, Adam(Schedule(0.01, 1e-4, "exponential", after=0.5)))


def gloro(guarantee: Standard | TopK | Affinity) -> Recipe:
    return recipe(GloRo(Schedule(EPSILON), guarantee=guarantee))


PANELS = (
    Panel("standard training", None, recipe(CrossEntropy())),
    Panel("GloRo", Standard(), gloro(Standard())),
    Panel("RT2", TopK(2), gloro(TopK(2))),
    Panel("affinity of two pairs", PAIRS, gloro(PAIRS)),
)


def points() -> tuple[Tensor, Tensor]:
    """The data set [rows, 2] and its labels."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(ROWS) % len(CENTRES)
    return CENTRES[labels] + SPREAD * torch.randn(ROWS, 2, generator=generator), labels


def trained(chosen: Recipe) -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 48), MinMax(), nn.Linear(48, 48), MinMax(), nn.Linear(48, len(CENTRES)))
    generator = torch.Generator().manual_seed(3)
    orthogonal_(model, generator=generator)
    for _ in train(model, *points(), chosen, generator=generator):
        pass
    return model.double()


def places() -> Tensor:
    """The plane [PIXELS², 2], row by row from the top."""
    along = torch.linspace(-1.2, 1.2, PIXELS, dtype=torch.float64)
    return torch.stack((along.repeat(PIXELS), (-along).repeat_interleave(PIXELS)), dim=1)


def smallest_sets(model: nn.Module, guarantee: Standard | TopK | Affinity | None) -> Tensor:
    """Per place which classes the smallest proved set holds, bool [places, classes]; the prediction without proof."""
    with torch.no_grad():
        logits = model(places())
    order = logits.argsort(dim=1, descending=True)
    if guarantee is None:
        return nn.functional.one_hot(order[:, 0], logits.shape[1]).bool()
    made = certify(logits, bound_model(model, (2,)).margins, EPSILON, guarantee)
    proved = made.radii >= EPSILON
    size = torch.where(proved.any(1), proved.int().argmax(1) + 1, 0)
    return (torch.arange(logits.shape[1]) < size[:, None]).gather(1, order.argsort(dim=1))


def picture(sets: Tensor) -> str:
    """The sets as a PNG of a few colours, base64."""
    size = sets.sum(1, keepdim=True)
    colour = sets.double() @ COLOURS / size.clamp_min(1)
    stripes = (torch.arange(PIXELS)[:, None] + torch.arange(PIXELS)[None, :]).flatten()[:, None] % 8 < 2
    paint = torch.where(size == 0, 255.0, torch.where((size > 1) & stripes, 255.0, 0.35 * 255 + 0.65 * colour))
    image = Image.fromarray(paint.round().to(torch.uint8).reshape(PIXELS, PIXELS, 3).numpy())
    buffer = io.BytesIO()
    image.quantize(64).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def drawing() -> str:
    inputs, labels = points()
    spots = "".join(
        f'<circle cx="{(x + 1.2) / 2.4 * SIDE:.0f}" cy="{(1.2 - y) / 2.4 * SIDE:.0f}" r="1.6" '
        f'fill="rgb{tuple(COLOURS[label].int().tolist())}"/>'
        for (x, y), label in zip(inputs.tolist(), labels.tolist(), strict=True)
        if max(abs(x), abs(y)) < 1.2
    )
    parts = [("the data", spots)]
    for panel in PANELS:
        image = picture(smallest_sets(trained(panel.recipe), panel.guarantee))
        parts.append((panel.title, f'<image width="{SIDE}" height="{SIDE}" href="data:image/png;base64,{image}"/>'))
    width = len(parts) * (SIDE + GAP) - GAP
    body = "".join(
        f'<g transform="translate({number * (SIDE + GAP)} 24)"><text x="0" y="-8">{title}</text>{inside}'
        f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="#8f97a4"/></g>\n'
        for number, (title, inside) in enumerate(parts)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 0 {width + 2} {SIDE + 26}" width="{width}" role="img" '
        f'aria-label="Decisions of four nets on a toy problem" font-family="sans-serif" font-size="14" '
        f'fill="#474e5b">\n<rect x="-1" width="{width + 2}" height="{SIDE + 26}" fill="#fff"/>\n{body}</svg>\n'
    )


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("toy.svg")
    torch.set_num_threads(1)
    target.write_text(drawing(), "utf-8")
    print(f"{target}: {target.stat().st_size / 1024:.0f} KiB")
