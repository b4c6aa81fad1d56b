"""The Lipschitz constant between a proof from above and a search from below (thesis 6.4.3, table 6.9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, PositiveInt, model_validator

from auditor.checks.robustness.attacking import refute_assumed
from auditor.checks.robustness.certified import norm_text
from auditor.checks.robustness.certifying import bound_margins, plan_bounds
from auditor.checks.robustness.wording import assumed
from auditor.plan.op import op
from auditor.records import Judgement
from auditor.spec.builder import Builder, Ref
from auditor.spec.check import Check
from auditor.spec.problem import problem
from auditor.terms import Norm

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.methods.robustness import Bounds
    from auditor.methods.robustness.lower_bounds import Steepest
STARTS = 64
"""Rows, evenly spread, from which the search over all inputs begins."""

BATCH_ELEMENTS = 32 * 3 * 64 * 64
"""Input values of a point that are searched at once."""


class LipschitzConstant(Check):
    """No margin between two classes changes faster, per unit of the {norm} norm of the input, than allowed.

    Proved from above for all inputs; searched from below by gradient ascent on the slope between two points (thesis eq.
    6.12): anywhere in the input range, and within `radius` of each row. Their ratio says how much of the bound is the
    proof's own looseness.
    """

    metrics: ClassVar[dict[str, str]] = {
        "global_upper": "upper bound on the Lipschitz constant of any margin, over all inputs",
        "global_lower": "largest slope of a margin found anywhere",
        "local_lower_mean": "mean over rows of the largest slope found near the row",
        "tightness": "global_lower over global_upper, at most 1",
    }
    example: ClassVar[str] = "budget: {metric: global_upper, at_most: 10}\n"

    type: Literal["robustness.lipschitz"] = "robustness.lipschitz"  # pyright: ignore[reportIncompatibleVariableOverride]
    norm: Norm = "l2"
    radius: Annotated[float, Field(gt=0)] | None = None
    steps: PositiveInt = 40
    restarts: PositiveInt = 2

    @model_validator(mode="after")
    def _near(self) -> LipschitzConstant:
        if self.threshold.metric == "local_lower_mean" and self.radius is None:
            raise problem(
                "missing-key",
                "local_lower_mean speaks of the neighbourhood of a row, and no radius says how large that is",
                remedy="add radius: the epsilon that the model is certified at",
                at=("require" if self.require else "budget", "metric"),
            )
        return self

    def claim_text(self) -> str:
        unit = f"per unit of {norm_text(self.norm)} norm"
        match self.threshold.metric:
            case "tightness":
                return f"The proved bound on how fast a margin changes, {unit}, is nearly reached by the model."
            case "local_lower_mean":
                return f"Within {self.radius:g} of a row, no margin changes faster on average, {unit}, than allowed."
            case _:
                return f"No margin between two classes changes faster, {unit}, than allowed."

    def plan(self, build: Builder) -> Ref[Judgement]:
        over = self.over
        assert over is not None
        model, inputs, rows = build.model(), build.inputs(over), build.selected(over, self.where)
        bounds = build.add(bound_margins, bounds=plan_bounds(build, norm=self.norm))
        elements = 1
        for size in build.input_shape:
            elements *= size
        search = {
            "model": model, "bounds": bounds, "inputs": inputs, "rows": rows, "norm": self.norm,
            "box": build.input_range, "steps": self.steps, "restarts": self.restarts, "seed": self.seed,
            "batch_size": min(1024, max(1, BATCH_ELEMENTS // elements)),
        }  # fmt: skip
        near = None if self.radius is None else build.add(search_near, radius=self.radius, **search)
        anywhere = build.add(search_anywhere, **search)
        return build.add(
            judge,
            check=self,
            bounds=bounds,
            bracket=build.add(
                bracket_margins, model=model, bounds=bounds, anywhere=anywhere, near=near, norm=self.norm
            ),
            near=None if near is None else build.add(slopes_alone, near=near),
            index=build.index(over),
            rows=rows,
            classes=build.classes,
        )


class Near(NamedTuple):
    """The slope found near each selected row, and the steepest pair of all."""

    slopes: Tensor
    steepest: Steepest


@op(version=2, device=True)
def search_anywhere(
    *, model: Any, bounds: Bounds, inputs: Tensor, rows: Tensor, norm: Norm, box: tuple[float, float] | None,
    steps: int, restarts: int, seed: int, batch_size: int, device: str, progress: Callable[[int, int], None],
) -> Steepest:  # fmt: skip
    """Steep pairs anywhere in the box, sought from rows spread evenly over those selected."""
    from auditor.methods.robustness.lower_bounds import Steepest, steepest_pairs

    chosen = rows[:: max(1, -(-len(rows) // STARTS))]
    found = steepest_pairs(
        model, inputs[chosen].to(device), norm=norm, box=box, steps=steps, restarts=restarts, seed=seed, rows=chosen,
        error=bounds.error.at, batch_size=batch_size, progress=progress,
    )  # fmt: skip
    return Steepest(*(column.cpu() for column in found))


@op(version=2, device=True)
def search_near(
    *, model: Any, bounds: Bounds, inputs: Tensor, rows: Tensor, norm: Norm, radius: float,
    box: tuple[float, float] | None, steps: int, restarts: int, seed: int, batch_size: int, device: str,
    progress: Callable[[int, int], None],
) -> Near:  # fmt: skip
    """The steepest pair within `radius` of each selected row."""
    import torch

    from auditor.methods.robustness.lower_bounds import Steepest, steepest_pairs

    slopes, best = [torch.empty(0, dtype=torch.float64)], None
    for start in range(0, len(rows), batch_size):
        chosen = rows[start : start + batch_size]
        found = steepest_pairs(
            model, inputs[chosen].to(device), norm=norm, radius=radius, box=box, steps=steps, restarts=restarts,
            seed=seed, rows=chosen, error=bounds.error.at, batch_size=batch_size,
        )  # fmt: skip
        slopes.append(found.slope.cpu())
        top = Steepest(*(column[found.slope.argmax()][None].cpu() for column in found))
        if best is None or float(top.slope) > float(best.slope):
            best = top
        progress(start + len(chosen), len(rows))
    if best is None:
        nowhere = inputs[:0].double()
        best = Steepest(slopes[0], nowhere, nowhere)
    return Near(torch.cat(slopes), best)


@op(version=1)
def slopes_alone(*, near: Near) -> Tensor:
    return near.slopes


@op(version=2, device=True)
def bracket_margins(
    *, model: Any, bounds: Bounds, anywhere: Steepest, near: Near | None, norm: Norm, device: str
) -> Tensor:
    """The largest slope found of each margin f_j − f_i [classes, classes], float64, never above its true constant.

    Raises CertificateBroken, with the pair as witness, if one is steeper than the bound on it, AssumptionBroken where
    the bound rests on the user's word.
    """
    import torch

    from auditor.methods.robustness.lower_bounds import Steepest, margin_slopes

    pairs = anywhere
    if near is not None:
        pairs = Steepest(*(torch.cat(columns) for columns in zip(anywhere, near.steepest, strict=True)))
    pairs = Steepest(*(column.to(device) for column in pairs))
    found = margin_slopes(model, pairs, norm=norm, error=bounds.error.at).cpu()
    if bool((found > bounds.margins).any()):
        for place in range(len(pairs.slope)):
            pair = Steepest(*(column[place : place + 1] for column in pairs))
            _confront(margin_slopes(model, pair, norm=norm, error=bounds.error.at).cpu(), bounds, pair, norm)
    return found


def _confront(slopes: Tensor, bounds: Bounds, pair: Steepest, norm: Norm) -> None:
    """Raises CertificateBroken if the slopes [classes, classes] of this one pair exceed the bounds on them."""
    from auditor.errors import CertificateBroken

    steep = (slopes > bounds.margins).nonzero()
    if not len(steep):
        return
    j, i = steep[0].tolist()
    found = (
        f"the margin of class {j} over class {i} changes by {float(slopes[j, i]):.9g} per unit of {norm_text(norm)} "
        f"norm between two inputs, and its bound is {float(bounds.margins[j, i]):.9g}"
    )
    refute_assumed(bounds, found)
    raise CertificateBroken(
        found,
        witness={"first": pair.first[0].cpu().numpy(), "second": pair.second[0].cpu().numpy()},
        remedy="this is a mistake in auditor: report it with the witness, and use no certificate of this run",
    )


@op(version=2)
def judge(
    *,
    check: LipschitzConstant,
    bounds: Bounds,
    bracket: Tensor,
    near: Tensor | None,
    index: Tensor,
    rows: Tensor,
    classes: tuple[str, ...],
) -> Judgement:
    from auditor.checks.robustness.lipschitz_judgement import lipschitz_judgement

    return lipschitz_judgement(
        check,
        upper=bounds.margins.numpy(),
        lower=bracket.numpy(),
        near=None if near is None else near.numpy(),
        index=index[rows].numpy(),
        classes=classes,
        assumed=assumed(bounds.assumed),
    )
