"""Accuracy: the share of rows given their label, and of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from auditor.checks.common.predictions import predict_rows
from auditor.plan.op import op
from auditor.records import Judgement
from auditor.spec.builder import Builder, Ref
from auditor.spec.check import Check

if TYPE_CHECKING:
    from torch import Tensor


class Accuracy(Check):
    """The model gives rows their label."""

    metrics: ClassVar[dict[str, str]] = {"accuracy": "share of rows given their label"}
    example: ClassVar[str] = "require: {metric: accuracy, at_least: 0.85}\n"

    type: Literal["quality.accuracy"] = "quality.accuracy"  # pyright: ignore[reportIncompatibleVariableOverride]

    def claim_text(self) -> str:
        threshold = self.threshold
        if threshold.at_least is not None:
            return f"The model gives at least {threshold.at_least:.4g} of the rows their label."
        return f"The model gives at most {threshold.at_most:.4g} of the rows their label."

    def rows_needed(self, rows: int) -> int | None:
        from auditor.statistics import trials_needed

        if self.claim == "sample":
            return None
        threshold = self.threshold
        needed = trials_needed(at_least=threshold.at_least, at_most=threshold.at_most, confidence=self.confidence)
        return needed if needed is not None and rows < needed else None

    def plan(self, build: Builder) -> Ref[Judgement]:
        over = self.over
        assert over is not None
        rows = build.selected(over, self.where)
        return build.add(
            judge,
            check=self,
            predicted=build.add(predict_rows, logits=build.logits(over), rows=rows),
            labels=build.labels(over),
            index=build.index(over),
            rows=rows,
            classes=build.classes,
        )


@op(version=2)
def judge(
    *, check: Accuracy, predicted: Tensor, labels: Tensor, index: Tensor, rows: Tensor, classes: tuple[str, ...]
) -> Judgement:
    from auditor.checks.quality.judgement import accuracy_judgement

    return accuracy_judgement(
        check,
        label=labels[rows].numpy(),
        predicted=predicted.numpy(),
        index=index[rows].numpy(),
        classes=classes,
    )
