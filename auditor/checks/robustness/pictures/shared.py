"""What every picture of robustness draws with: axes, thresholds, shares by class, inputs as images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from auditor.records import AnyEvidence, Axis, Mark
from auditor.statistics import clopper_pearson

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

PRINTED_CLASSES = 20


class Pictures(NamedTuple):
    evidence: tuple[AnyEvidence, ...]
    tables: dict[str, pa.Table]
    images: dict[str, np.ndarray]


def listed(rows: dict[str, list[Any]]) -> str:
    return ", ".join(f"{name} {share:.3f}" for name, share in zip(rows["class"], rows["share"], strict=True))


def by_class(label: np.ndarray, classes: tuple[str, ...], confidence: float, holds: np.ndarray) -> dict[str, list[Any]]:
    """Share of each class that `holds`, with its exact interval, lowest first; the lowest `PRINTED_CLASSES` of them."""
    rows = []
    for number, name in enumerate(classes):
        mine = label == number
        if mine.any():
            low, high = clopper_pearson(int(holds[mine].sum()), int(mine.sum()), confidence=confidence)
            rows.append((float(holds[mine].mean()), name, low, high, int(mine.sum())))
    rows = sorted(rows)[:PRINTED_CLASSES]
    return {
        "class": [row[1] for row in rows],
        "share": [row[0] for row in rows],
        "low": [row[2] for row in rows],
        "high": [row[3] for row in rows],
        "rows": [row[4] for row in rows],
    }


def shares(label: np.ndarray, rows: dict[str, list[Any]], classes: tuple[str, ...], holds: np.ndarray) -> list[float]:
    return [float(holds[label == classes.index(name)].mean()) for name in rows["class"]]


def radius_axis(check: Any, high: float | None) -> Axis:
    norm = {"l2": "ℓ₂", "linf": "ℓ∞"}[check.norm]
    return Axis(label=f"radius ε, {norm} norm", low=0.0, high=high)


def threshold_marks(check: Any, metric: str) -> tuple[Mark, ...]:
    threshold = check.threshold
    limit = threshold.at_least if threshold.at_least is not None else threshold.at_most
    if threshold.metric != metric or limit is None:
        return ()
    return (Mark(axis="y", value=limit, label=f"required {limit:g}", kind="threshold"),)
