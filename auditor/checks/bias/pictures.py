"""The picture of bias amplification: from each class's share of the labels to its share of the predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.records import Axis, Dumbbell

if TYPE_CHECKING:
    import pyarrow as pa

    from auditor.checks.bias.rates import Rates


def rates_dumbbell(rates: tuple[Rates, ...], confidence: float | None) -> tuple[Dumbbell, pa.Table]:
    """Largest |B| first. The interval is that of B, laid at the class's share of the labels."""
    import pyarrow as pa

    ordered = sorted(rates, key=lambda one: -abs(one.amplification))
    bounds = [_laid(one, confidence) for one in ordered]
    table = pa.table(
        {
            "class": pa.array([one.name for one in ordered], pa.string()),
            "prior": pa.array([one.prior for one in ordered], pa.float64()),
            "predicted": pa.array([one.predicted_rate for one in ordered], pa.float64()),
            "low": pa.array([low for low, _ in bounds], pa.float64()),
            "high": pa.array([high for _, high in bounds], pa.float64()),
            "bias_amplification": pa.array([one.amplification for one in ordered], pa.float64()),
        }
    )
    first = ordered[0]
    listed = ", ".join(f"{one.name} {one.prior:.3f} to {one.predicted_rate:.3f}" for one in ordered)
    sampling = "" if confidence is None else f" Each end of a line is a bound at {confidence:g} by itself."
    dumbbell = Dumbbell(
        id="rates",
        caption=f"{first.name} is predicted at a rate of {first.predicted_rate:.3f} and occurs at {first.prior:.3f}.",
        detail=f"The line is the interval of the difference, laid at the share of the labels.{sampling}",
        alt=f"Share of the labels to share of the predictions: {listed}.",
        x=Axis(label="share of the rows", low=0.0),
        label="class",
        start="prior",
        end="predicted",
        start_name="labels",
        end_name="predictions",
        low="low",
        high="high",
    )
    return dumbbell, table


def _laid(rates: Rates, confidence: float | None) -> tuple[float, float]:
    low, high = rates.interval(confidence)
    return max(0.0, rates.prior + low), min(1.0, rates.prior + high)
