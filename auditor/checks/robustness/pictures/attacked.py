"""Pictures of an attack: what stays right as it may move further, by class, and the nearest flips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.checks.common.images import as_image, is_image
from auditor.checks.robustness.pictures.shared import (
    Pictures,
    by_class,
    listed,
    radius_axis,
    shares,
    threshold_marks,
)
from auditor.records import Axis, Bars, Curve, ImageGrid, Series, Tile

if TYPE_CHECKING:
    import numpy as np

    from auditor.checks.robustness.attacked import AttackedRobustness, Shown

CURVE_POINTS = 61


def attacked_pictures(
    check: AttackedRobustness,
    *,
    label: np.ndarray,
    correct: np.ndarray,
    broken_at: np.ndarray,
    attacked: np.ndarray,
    shown: Shown,
    index: np.ndarray,
    classes: tuple[str, ...],
    input_range: tuple[float, float] | None,
) -> Pictures:
    """The share still right against the radius, bars by class, and the nearest flips beside their originals."""
    import numpy as np
    import pyarrow as pa

    if not len(index):
        return Pictures((), {}, {})
    radii = np.linspace(0, check.epsilon, CURVE_POINTS)
    standing = (broken_at[None, :] > radii[:, None]).mean(1)
    curve = Curve(
        id="radii",
        caption=f"{standing[-1]:.3f} of the rows stay right up to {check.epsilon:g}.",
        detail="A row falls at the distance of the nearest flip found; the true curve lies on or below this one.",
        alt=f"Share still right falls from {standing[0]:.3f} at radius 0 to {standing[-1]:.3f} at {check.epsilon:g}.",
        x=radius_axis(check, check.epsilon),
        y=Axis(label="share of rows", low=0.0, high=1.0),
        series=(Series(label="not broken", x="epsilon", y="standing"),),
        marks=threshold_marks(check, "accuracy_under_attack"),
        step=True,
    )
    rows = by_class(label, classes, check.confidence, broken_at > check.epsilon)
    rows["broken"] = shares(label, rows, classes, correct & (broken_at <= check.epsilon))
    bars = Bars(
        id="classes",
        caption=f"{rows['class'][0]} withstands least, with {rows['share'][0]:.3f} of its rows not broken.",
        detail="A line in each bar is the class's own interval.",
        alt=f"Share not broken: {listed(rows)}.",
        x=Axis(label="share of the class", low=0.0, high=1.0),
        label="class",
        values=("share", "broken"),
        names=("not broken", "broken"),
        low="low",
        high="high",
    )
    tables = {"radii": pa.table({"epsilon": radii, "standing": standing}), "classes": pa.table(rows)}
    grid, images = _flips(shown, label, broken_at, attacked, index, classes, input_range)
    return Pictures((curve, bars) if grid is None else (curve, bars, grid), tables, images)


def _flips(
    shown: Shown,
    label: np.ndarray,
    broken_at: np.ndarray,
    attacked: np.ndarray,
    index: np.ndarray,
    classes: tuple[str, ...],
    input_range: tuple[float, float] | None,
) -> tuple[ImageGrid | None, dict[str, np.ndarray]]:
    if not is_image(shown.inputs.shape[1:]) or not len(shown.positions):
        return None, {}
    tiles, images = [], {}
    for place, position in enumerate(shown.positions.tolist()):
        for kind, source in (("before", shown.inputs), ("after", shown.points)):
            images[f"{kind}-{place}"] = as_image(source[place].numpy(), input_range)
        distance = broken_at[position]
        tiles += [
            Tile(
                image=f"before-{place}",
                title=classes[label[position]],
                note=f"row {index[position]}",
                status="holds",
            ),
            Tile(
                image=f"after-{place}",
                title=f"read as {classes[attacked[position]]}",
                note=f"moved {distance:.3g}",
                status="breaks",
            ),
        ]
    pairs = zip(tiles[::2], tiles[1::2], strict=True)
    said = "; ".join(f"{before.title} ({before.note}) {after.title}, {after.note}" for before, after in pairs)
    grid = ImageGrid(
        id="flips",
        caption="The nearest inputs that the model reads differently.",
        detail="Left the row, right the point the attack found.",
        alt=f"Pairs of original and attacked inputs: {said}.",
        wide=True,
        tiles=tuple(tiles),
    )
    return grid, images
