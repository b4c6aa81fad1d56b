"""Pictures of a smoothed classifier: the share certified right by radius and by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.checks.robustness.pictures.shared import Pictures, by_class, listed, radius_axis, shares, threshold_marks
from auditor.records import Axis, Bars, Curve, Mark, Series

if TYPE_CHECKING:
    import numpy as np

    from auditor.checks.robustness.certified import CertifiedRobustness

BEYOND = 3.0
"""How far past the check's radius the curve goes, as a multiple of it."""
CURVE_POINTS = 61


def smoothed_pictures(
    check: CertifiedRobustness, *, label: np.ndarray, right: np.ndarray, radius: np.ndarray, classes: tuple[str, ...]
) -> Pictures:
    """`radius` [rows]: up to where each row's vote is certified; `right`: whether it is the label."""
    import numpy as np
    import pyarrow as pa

    if not len(label):
        return Pictures((), {}, {})
    radii = np.linspace(0, BEYOND * check.epsilon, CURVE_POINTS)
    certified = ((radius[None, :] >= radii[:, None]) & right[None, :]).mean(1)
    proved = right & (radius >= check.epsilon)
    curve = Curve(
        id="radii",
        caption=f"At radius {check.epsilon:g}, {proved.mean():.3f} of the rows are certified right.",
        detail="Each row's certificate holds with the probability stated; the vote under noise is what it speaks of.",
        alt=f"Share certified right: {certified[0]:.3f} at radius 0, {certified[-1]:.3f} at {radii[-1]:.3g}.",
        x=radius_axis(check, float(radii[-1])),
        y=Axis(label="share of rows", low=0.0, high=1.0),
        series=(Series(label="certified right", x="epsilon", y="certified"),),
        marks=(
            Mark(axis="x", value=check.epsilon, label=f"ε = {check.epsilon:g}", kind="observed"),
            *threshold_marks(check, "vra"),
        ),
        step=True,
    )
    rows = by_class(label, classes, check.confidence, proved)
    rows["correct"] = shares(label, rows, classes, right)
    bars = Bars(
        id="classes",
        caption=f"{rows['class'][0]} carries least, with {rows['share'][0]:.3f} of its rows certified right.",
        detail="A line in each bar is the class's own interval; the tick is its share right without perturbation.",
        alt=f"Share certified right: {listed(rows)}.",
        x=Axis(label="share of the class", low=0.0, high=1.0),
        label="class",
        values=("share",),
        names=("certified",),
        low="low",
        high="high",
        tick="correct",
        tick_name="correct",
    )
    tables = {"radii": pa.table({"epsilon": radii, "certified": certified}), "classes": pa.table(rows)}
    return Pictures((curve, bars), tables, {})
