"""Certified robustness: the share of inputs that no perturbation within epsilon can turn wrong (thesis ch. 5–7)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import PositiveFloat

from auditor.checks.robustness.attacking import confront, plan_attack
from auditor.checks.robustness.certifying import (
    CertifiedRows,
    Narrowest,
    bound_error,
    bound_margins,
    certify_rows,
    evaluate_float32,
    find_narrowest,
    observe_lipschitz,
    plan_bounds,
)
from auditor.checks.robustness.linear import plan_linear
from auditor.checks.robustness.separating import Conflicts, pair_conflicts
from auditor.checks.robustness.smoothing import plan_smoothing
from auditor.checks.robustness.stating import state_proof
from auditor.plan.op import op
from auditor.records import Judgement
from auditor.spec.builder import Builder, Ref
from auditor.spec.check import Check
from auditor.spec.guarantee import Guarantee, resolve
from auditor.spec.method import Crown, Lipschitz, Method, Smoothing
from auditor.terms import Affinity, Attack, Norm, Pgd, Standard, TopK

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from auditor.methods.robustness import Bounds
    from auditor.records.certificate import NetworkProof


class CertifiedRobustness(Check):
    """The label is right whatever the perturbation up to {epsilon} in the {norm} norm, in the sense of {guarantee}."""

    metrics: ClassVar[dict[str, str]] = {
        "vra": "share certified and correct (verified-robust accuracy)",
        "clean_accuracy": "share correct without perturbation, in the guarantee's own sense",
        "rejection_rate": "share that cannot be certified, right or wrong",
        "accuracy_under_attack": "share correct that the attack did not break",
        "lipschitz_upper": "upper bound on the Lipschitz constant of any margin",
    }
    example: ClassVar[str] = "epsilon: 0.1\nrequire: {metric: vra, at_least: 0.5}\n"

    type: Literal["robustness.certified"] = "robustness.certified"  # pyright: ignore[reportIncompatibleVariableOverride]
    norm: Norm = "l2"
    epsilon: PositiveFloat
    guarantee: Guarantee = Standard()
    method: Method = Lipschitz()
    arithmetic: Literal["real", "float32"] = "real"
    attack: Attack = Pgd()

    def claim_text(self) -> str:
        ball = f"{norm_text(self.norm)} norm up to {self.epsilon:g}"
        if self.threshold.metric == "lipschitz_upper":
            return (
                f"No margin between two classes changes faster, per unit of {norm_text(self.norm)} norm, than allowed."
            )
        if isinstance(self.method, Smoothing):
            return (
                f"The model's majority vote under noise is right and stays the same under every perturbation of {ball}."
            )
        match self.guarantee:
            case TopK(k=k):
                what = f"The label is in a set of at most {k} highest classes, and the set stays the same"
            case Standard():
                what = "The label is right and stays the same"
            case _:
                what = "The label is in a set of acceptable confusions, and the set stays the same"
        return f"{what} under every perturbation of {ball}."

    def unavailable(self) -> tuple[str, ...]:
        if isinstance(self.method, Smoothing):
            return self._beyond_smoothing()
        return ()

    def _beyond_smoothing(self) -> tuple[str, ...]:
        """What this check asks of smoothing that smoothing does not give."""
        missing = []
        if self.norm != "l2":
            missing.append(f"norm: {self.norm} by smoothing (Gaussian noise certifies l2)")
        if self.guarantee != Standard():
            missing.append("a guarantee other than standard by smoothing")
        if self.arithmetic != "real":
            missing.append(f"arithmetic: {self.arithmetic} by smoothing")
        if self.threshold.metric not in ("vra", "clean_accuracy", "rejection_rate"):
            missing.append(f"metric: {self.threshold.metric} by smoothing (vra is available)")
        return tuple(missing)

    def rows_needed(self, rows: int) -> int | None:
        return shares_needed(self, rows) if self.threshold.metric != "lipschitz_upper" else None

    def plan(self, build: Builder) -> Ref[Judgement]:
        if isinstance(self.method, Smoothing):
            return plan_smoothing(build, self, self.method)
        over = self.over
        assert over is not None
        rows, labels, inputs = build.selected(over, self.where), build.labels(over), build.inputs(over)
        model, index = build.model(), build.index(over)
        guarantee = resolve(self.guarantee, build)
        bounds = build.add(bound_margins, bounds=plan_bounds(build, norm=self.norm, arithmetic=self.arithmetic))
        logits = error = single = None
        if self.arithmetic == "float32":
            single = build.add(evaluate_float32, model=model, inputs=inputs, rows=rows, bounds=bounds)
        else:
            logits = build.logits(over, dtype="float64")
            error = build.add(bound_error, model=model, inputs=inputs, logits=logits, rows=rows, bounds=bounds)
        certified = build.add(
            certify_rows,
            logits=logits,
            error=error,
            single=single,
            bounds=bounds,
            labels=labels,
            rows=rows,
            epsilon=self.epsilon,
            guarantee=guarantee,
        )
        attacks = tuple(
            plan_attack(
                build, over=over, where=self.where, attack=self.attack, norm=self.norm, epsilon=self.epsilon,
                seed=self.seed, k=size,
            )
            for size in range(1, _sizes(guarantee) + 1)
        )  # fmt: skip
        if isinstance(self.method, Crown):
            certified = plan_linear(
                build, self, self.method, certified=certified, attacks=attacks, logits=logits, single=single,
                bounds=bounds,
            )  # fmt: skip
        return build.add(
            judge,
            check=self,
            guarantee=guarantee,
            certified=certified,
            broken_at=build.add(
                confront, certified=certified, attacks=attacks, inputs=inputs, rows=rows, index=index, bounds=bounds
            ),
            bounds=bounds,
            proof=build.add(state_proof, model=model, input_shape=build.input_shape, norm=self.norm, bounds=bounds),
            lipschitz_lower=build.add(
                observe_lipschitz,
                model=model,
                bounds=bounds,
                inputs=inputs,
                rows=rows,
                norm=self.norm,
                box=build.input_range,
            ),
            narrowest=build.add(find_narrowest, certified=certified, inputs=inputs, rows=rows),
            conflicts=build.add(
                pair_conflicts,
                inputs=inputs,
                labels=labels,
                rows=rows,
                norm=self.norm,
                guarantee=guarantee,
                classes=len(build.classes),
            ),
            index=index,
            rows=rows,
            classes=build.classes,
            input_range=build.input_range,
        )


def _sizes(guarantee: Standard | TopK | Affinity) -> int:
    """The largest k that the guarantee may certify."""
    if isinstance(guarantee, TopK):
        return guarantee.k
    return max([1, *map(len, map(set, guarantee.sets))]) if isinstance(guarantee, Affinity) else 1


def norm_text(norm: Norm) -> str:
    return {"l2": "ℓ₂", "linf": "ℓ∞"}[norm]


def shares_needed(check: Check, rows: int) -> int | None:
    """How many rows a share's one-sided exact bound needs to reach the threshold if every row is on the right side."""
    threshold = check.threshold
    worst = threshold.at_least if threshold.at_least is not None else 1 - (threshold.at_most or 0.0)
    if check.claim == "sample" or not 0 < worst < 1:
        return None
    needed = math.ceil(math.log(1 - check.confidence) / math.log(worst) - 1e-12)
    return needed if rows < needed else None


@op(version=11)
def judge(
    *,
    check: CertifiedRobustness,
    guarantee: Standard | TopK | Affinity,
    certified: CertifiedRows,
    broken_at: Tensor,
    bounds: Bounds,
    proof: tuple[NetworkProof, dict[str, np.ndarray]],
    lipschitz_lower: float,
    narrowest: Narrowest,
    conflicts: Conflicts,
    index: Tensor,
    rows: Tensor,
    classes: tuple[str, ...],
    input_range: tuple[float, float] | None,
) -> Judgement:
    from auditor.checks.robustness.judgement import certified_judgement

    return certified_judgement(
        check,
        guarantee=guarantee,
        certified=certified,
        broken_at=broken_at.numpy(),
        bounds=bounds,
        proof=proof,
        lipschitz_lower=lipschitz_lower,
        narrowest=narrowest,
        conflicts=conflicts,
        index=index[rows].numpy(),
        classes=classes,
        input_range=input_range,
    )
