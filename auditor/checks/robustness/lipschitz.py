"""The Lipschitz constant between a proof from above and a search from below (thesis ch. 6)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from auditor.checks.robustness.certified import norm_text
from auditor.spec.check import Check
from auditor.terms import Norm


class LipschitzConstant(Check):
    """No margin between two classes changes faster, per unit of the {norm} norm of the input, than allowed.

    Proved from above for all inputs; searched from below at the tested rows, by gradient ascent on the slope. Their
    ratio says how much of the bound is the proof's own looseness.
    """

    experimental: ClassVar[bool] = True
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
    steps: PositiveInt = 100
    restarts: PositiveInt = 5

    def claim_text(self) -> str:
        return f"No margin between two classes changes faster, per unit of {norm_text(self.norm)} norm, than allowed."

    def unavailable(self) -> tuple[str, ...]:
        return ("comes with a later version: the search for steep slopes",)
