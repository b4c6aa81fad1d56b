"""The pictures of accuracy: each class with its interval, and what classes are taken for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.records import Axis, Bars, Heatmap
from auditor.statistics import clopper_pearson

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def class_bars(
    label: np.ndarray, predicted: np.ndarray, classes: tuple[str, ...], *, confidence: float
) -> tuple[Bars, pa.Table]:
    """The accuracy of each class that has rows, least first, with its own exact interval."""
    import pyarrow as pa

    drawn = []
    for number, name in enumerate(classes):
        rows, right = int((label == number).sum()), int(((label == number) & (predicted == number)).sum())
        if rows:
            drawn.append((right / rows, name, rows, *clopper_pearson(right, rows, confidence=confidence)))
    drawn.sort(key=lambda row: row[0])
    listed = ", ".join(f"{name} {share:.3f}" for share, name, *_ in drawn)
    least = f"{drawn[0][1]} is the least accurate class, at {drawn[0][0]:.3f}." if drawn else "No class has rows."
    bars = Bars(
        id="classes",
        caption=least,
        detail=f"A line in each bar is the class's own interval, exact, each end a bound at {confidence:g} by itself.",
        alt=f"Accuracy by class: {listed}.",
        x=Axis(label="share of the class given its label", low=0.0, high=1.0),
        label="class",
        values=("accuracy",),
        low="low",
        high="high",
    )
    schema = pa.schema(
        {"accuracy": pa.float64(), "class": pa.string(), "rows": pa.int64(), "low": pa.float64(), "high": pa.float64()}
    )
    return bars, pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in drawn], schema)


def confusion_map(label: np.ndarray, predicted: np.ndarray, classes: tuple[str, ...]) -> tuple[Heatmap, pa.Table]:
    """Of each class that has rows, the share given to each class; unclassified rows are in the rows' total alone."""
    import numpy as np
    import pyarrow as pa

    size = len(classes)
    known = (label >= 0) & (label < size) & (predicted >= 0)
    counts = np.bincount(label[known] * size + predicted[known], minlength=size * size).reshape(size, size)
    totals = np.bincount(label[(label >= 0) & (label < size)], minlength=size)
    with np.errstate(invalid="ignore"):
        shares = counts / totals[:, None]
    wrong = np.where(np.eye(size, dtype=bool) | (totals[:, None] == 0), -1.0, shares)
    row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
    if wrong[row, column] > 0:
        caption = f"{classes[row]} is most often taken for {classes[column]}, in {wrong[row, column]:.3f} of its rows."
    else:
        caption = "No class is taken for another."
    present = totals > 0
    heatmap = Heatmap(
        id="confusions",
        caption=caption,
        detail="Each line adds up to the share of the class's rows that are given any class.",
        alt=f"Confusion matrix of {int(present.sum())} classes, normalised by row. {caption}",
        row="label",
        column="predicted",
        value="share",
        row_label="label",
        column_label="predicted",
    )
    pairs = [(i, j) for i in range(size) if present[i] for j in range(size)]
    table = pa.table(
        {
            "label": pa.array([classes[i] for i, _ in pairs], pa.string()),
            "predicted": pa.array([classes[j] for _, j in pairs], pa.string()),
            "share": pa.array([float(shares[i, j]) for i, j in pairs], pa.float64()),
            "rows": pa.array([int(counts[i, j]) for i, j in pairs], pa.int64()),
        }
    )
    return heatmap, table
