"""Robustness under attack: the share of inputs whose label the strongest attack tried cannot change."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import PositiveFloat

from auditor.checks.robustness.attacking import plan_attack
from auditor.checks.robustness.certified import norm_text, shares_needed
from auditor.plan.op import op
from auditor.records import Judgement
from auditor.spec.builder import Builder, Ref
from auditor.spec.check import Check
from auditor.terms import Attack, Norm, Pgd

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.methods.robustness.attacks import Adversarial

PAIRS = 3


class AttackedRobustness(Check):
    """An attacker who may move an input by {epsilon} in the {norm} norm does not change its label."""

    metrics: ClassVar[dict[str, str]] = {
        "accuracy_under_attack": "share correct that the attack did not break",
        "clean_accuracy": "share correct without perturbation",
    }
    example: ClassVar[str] = "epsilon: 0.1\nrequire: {metric: accuracy_under_attack, at_least: 0.5}\n"

    type: Literal["robustness.attacked"] = "robustness.attacked"  # pyright: ignore[reportIncompatibleVariableOverride]
    norm: Norm = "l2"
    epsilon: PositiveFloat
    attack: Attack = Pgd()

    def claim_text(self) -> str:
        distance = f"{self.epsilon:g} in the {norm_text(self.norm)} norm"
        return f"An attacker who may move an input by {distance} does not change its label."

    def rows_needed(self, rows: int) -> int | None:
        return shares_needed(self, rows)

    def plan(self, build: Builder) -> Ref[Judgement]:
        over = self.over
        assert over is not None
        rows, labels, inputs = build.selected(over, self.where), build.labels(over), build.inputs(over)
        logits = build.logits(over, dtype="float64")
        attack = plan_attack(
            build, over=over, where=self.where, attack=self.attack, norm=self.norm, epsilon=self.epsilon, seed=self.seed
        )
        return build.add(
            judge,
            check=self,
            attack=build.add(without_points, attack=attack),
            clean=build.add(predicted_rows, logits=logits, rows=rows),
            shown=build.add(find_nearest, attack=attack, inputs=inputs, rows=rows),
            labels=labels,
            index=build.index(over),
            rows=rows,
            classes=build.classes,
            input_range=build.input_range,
        )


class Attacks(NamedTuple):
    """`Adversarial` without its points."""

    distance: Tensor
    predicted: Tensor


class Shown(NamedTuple):
    """The nearest flips: positions among the selected rows, inputs, and the points found."""

    positions: Tensor
    inputs: Tensor
    points: Tensor


@op(version=1)
def without_points(*, attack: Adversarial) -> Attacks:
    return Attacks(attack.distance, attack.predicted)


@op(version=1)
def predicted_rows(*, logits: Tensor, rows: Tensor) -> Tensor:
    """Class of each selected row, the lowest index of equal logits."""
    return logits[rows].argsort(dim=1, descending=True, stable=True)[:, 0]


@op(version=1)
def find_nearest(*, attack: Adversarial, inputs: Tensor, rows: Tensor) -> Shown:
    """The flips at the smallest distances."""
    found = attack.found.nonzero().flatten()
    nearest = attack.distance[found].argsort(stable=True)[:PAIRS]
    return Shown(found[nearest], inputs[rows[found[nearest]]], attack.points[nearest])


@op(version=6)
def judge(
    *,
    check: AttackedRobustness,
    attack: Attacks,
    clean: Tensor,
    shown: Shown,
    labels: Tensor,
    index: Tensor,
    rows: Tensor,
    classes: tuple[str, ...],
    input_range: tuple[float, float] | None,
) -> Judgement:
    from auditor.checks.robustness.judgement import attacked_judgement

    return attacked_judgement(
        check,
        label=labels[rows].numpy(),
        predicted=clean.numpy(),
        attacked=attack.predicted.numpy(),
        distance=attack.distance.numpy(),
        shown=shown,
        index=index[rows].numpy(),
        classes=classes,
        input_range=input_range,
    )
