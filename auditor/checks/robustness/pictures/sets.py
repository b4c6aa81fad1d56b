"""Pictures of the relaxed guarantees: which classes end up in one certified set, and what each larger set adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.records import Axis, Bars, Heatmap

if TYPE_CHECKING:
    import pyarrow as pa

    from auditor.checks.robustness.certified import CertifiedRobustness
    from auditor.checks.robustness.judgement import Outcome

MOST_CLASSES = 60
"""Classes of a map, those in sets of several classes first: more could not be read."""


def together_map(
    outcome: Outcome, classes: tuple[str, ...], sets: tuple[tuple[int, ...], ...]
) -> tuple[Heatmap, pa.Table]:
    """For each label, the share of its certified rows whose set holds each class; affinity sets are outlined."""
    import numpy as np
    import pyarrow as pa

    grouped = list(dict.fromkeys(member for members in sets for member in members))
    order = (grouped + [number for number in range(len(classes)) if number not in grouped])[:MOST_CLASSES]
    held = outcome.robust_set & outcome.certified[:, None]
    counts = np.array([[int(held[outcome.label == row, column].sum()) for column in order] for row in order])
    totals = np.array([int((outcome.certified & (outcome.label == row)).sum()) for row in order])
    shares = np.divide(counts, totals[:, None], out=np.full(counts.shape, np.nan), where=totals[:, None] > 0)
    several = held.sum(1) > 1
    caption = f"{int(several.sum()):,} rows are certified with a set of several classes."
    heatmap = Heatmap(
        id="together",
        caption=caption,
        detail="The share of each label's certified rows whose set holds the class. Boxes: acceptable confusions.",
        alt=f"Classes by the certified sets that hold them, {len(order)} by {len(order)}. {caption}",
        row="label",
        column="held",
        value="share",
        row_label="label",
        column_label="in the certified set",
        outlined=tuple(tuple(classes[member] for member in members) for members in sets if len(members) > 1),
    )
    cells = [(i, j) for i in range(len(order)) if totals[i] for j in range(len(order))]
    table = pa.table(
        {
            "label": pa.array([classes[order[i]] for i, _ in cells], pa.string()),
            "held": pa.array([classes[order[j]] for _, j in cells], pa.string()),
            "share": pa.array([float(shares[i, j]) for i, j in cells], pa.float64()),
            "rows": pa.array([int(counts[i, j]) for i, j in cells], pa.int64()),
        }
    )
    return heatmap, table


def sizes_bars(check: CertifiedRobustness, outcome: Outcome) -> tuple[Bars, pa.Table]:
    """The metric as it would be if only sets of up to k classes counted, for each k of the guarantee."""
    import pyarrow as pa

    sizes = list(range(1, outcome.radii.shape[1] + 1))
    shares = [float(outcome.proved_by(check.epsilon, size).mean()) for size in sizes]
    bars = Bars(
        id="sizes",
        caption=f"Single classes certify {shares[0]:.3f} of the rows right, sets up to {sizes[-1]} {shares[-1]:.3f}.",
        detail="Certified and right if only sets of up to k classes were admitted; the tick is right unperturbed."
        + _untried(check, outcome),
        alt="Share certified and right by k: "
        + ", ".join(f"{k} {share:.3f}" for k, share in zip(sizes, shares, strict=True)),
        x=Axis(label="share of rows", low=0.0, high=1.0),
        label="k",
        values=("share",),
        names=("certified and right",),
        tick="correct",
        tick_name="label among the k highest",
    )
    correct = [float(outcome.holds[:, :size].any(1).mean()) for size in sizes]
    table = pa.table({"k": [f"k = {size}" for size in sizes], "share": shares, "correct": correct})
    return bars, table


def _untried(check: CertifiedRobustness, outcome: Outcome) -> str:
    """What linear bounds might add to the smaller sets: they are tried where the constant decides nothing."""
    if not outcome.linear.any() or not (outcome.proved_globally(check.epsilon) & (outcome.k > 1)).any():
        return ""
    return " Linear bounds were not tried on sets smaller than one that the constant certifies."
