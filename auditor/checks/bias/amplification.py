"""Bias amplification: how much more often a class is predicted than it occurs (thesis def. 9.1)."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from auditor.checks.common.predictions import predict_rows
from auditor.plan.op import op
from auditor.records import Judgement
from auditor.spec.builder import Builder, Ref
from auditor.spec.check import Check

if TYPE_CHECKING:
    from torch import Tensor

MOST_FEATURES = 64
"""Flat inputs of up to so many features are tested for theorem 9.1."""


class BiasAmplification(Check):
    """The model does not predict a class more or less often than it occurs."""

    metrics: ClassVar[dict[str, str]] = {
        "bias_amplification": "rate at which a class is predicted, less the rate at which it occurs",
    }
    example: ClassVar[str] = "budget: {metric: bias_amplification, at_most: 0.1}\n"

    type: Literal["bias.amplification"] = "bias.amplification"  # pyright: ignore[reportIncompatibleVariableOverride]

    def claim_text(self) -> str:
        threshold = self.threshold
        if threshold.at_most is not None:
            return f"No class is predicted more or less often than it occurs by over {threshold.at_most:g} of the rows."
        return (
            f"Some class is predicted more or less often than it occurs by at least {threshold.at_least:g} of the rows."
        )

    def rows_needed(self, rows: int) -> int | None:
        """Rows at which not one disagreement puts the score bound z²/(n + z²) within the budget."""
        budget = self.threshold.at_most
        if self.claim == "sample" or budget is None or not 0 < budget < 1:
            return None
        z = NormalDist().inv_cdf(self.confidence)
        needed = math.ceil(z**2 * (1 - budget) / budget)
        return needed if rows < needed else None

    def plan(self, build: Builder) -> Ref[Judgement]:
        over = self.over
        assert over is not None
        rows, labels = build.selected(over, self.where), build.labels(over)
        flat = len(build.input_shape) == 1 and build.input_shape[0] <= MOST_FEATURES
        asked = flat and len(build.classes) == 2
        return build.add(
            judge,
            check=self,
            predicted=build.add(predict_rows, logits=build.logits(over), rows=rows),
            separation=build.add(separate, inputs=build.inputs(over), labels=labels, rows=rows) if asked else None,
            labels=labels,
            index=build.index(over),
            rows=rows,
            classes=build.classes,
        )


class Separation(NamedTuple):
    """How far apart the inputs of two classes lie, and whether theorem 9.1 speaks of such classes."""

    within: float
    total: float
    fits: bool
    reason: str


@op(version=1)
def separate(*, inputs: Tensor, labels: Tensor, rows: Tensor) -> Separation | None:
    """None where a class has fewer than two rows or an input is not finite."""
    import numpy as np

    from auditor.methods.bias import diagnose, mahalanobis_total, mahalanobis_within

    x, label = inputs[rows].double().numpy(), labels[rows].numpy()
    if min((label == 0).sum(), (label == 1).sum()) < 2 or not np.isfinite(x).all():
        return None
    return Separation(mahalanobis_within(x, label), mahalanobis_total(x, label), *diagnose(x, label))


@op(version=2)
def judge(
    *,
    check: BiasAmplification,
    predicted: Tensor,
    separation: Separation | None,
    labels: Tensor,
    index: Tensor,
    rows: Tensor,
    classes: tuple[str, ...],
) -> Judgement:
    from auditor.checks.bias.judgement import amplification_judgement

    return amplification_judgement(
        check,
        label=labels[rows].numpy(),
        predicted=predicted.numpy(),
        separation=separation,
        index=index[rows].numpy(),
        classes=classes,
    )
