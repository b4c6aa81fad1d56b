"""Training inputs encoded in the weights themselves (thesis 8.6, D.1; Rolnick & Kording 2020 for the black box)."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import PositiveInt, model_validator

from auditor.spec.check import Check
from auditor.spec.problem import problem
from auditor.spec.rows import Rows


class EncodedInputs(Check):
    """No unit of the first layer stores a picture of a row of {members}.

    Columns of the first layer's weights, and boundary hyperplanes of deeper units, are read as inputs. With
    `access: queries` the columns are recovered from outputs alone, by line searches for kinks.
    """

    experimental: ClassVar[bool] = True
    metrics: ClassVar[dict[str, str]] = {
        "excess_ssim": "mean structural similarity of a unit to its nearest member, minus that to a non-member",
        "max_ssim": "largest structural similarity of any unit to a member",
        "queries": "queries per unit recovered without the weights",
        "cosine": "mean cosine of the units recovered without the weights to the true ones",
    }
    example: ClassVar[str] = "members: train\nbudget: {metric: excess_ssim, at_most: 0.1}\n"

    type: Literal["privacy.encoding"] = "privacy.encoding"  # pyright: ignore[reportIncompatibleVariableOverride]
    members: Rows
    access: Literal["weights", "queries"] = "weights"
    units: PositiveInt | None = None

    @model_validator(mode="after")
    def _counted_only_with_queries(self) -> Self:
        if self.access == "weights" and self.threshold.metric in ("queries", "cosine"):
            raise problem(
                "contradiction",
                f"{self.threshold.metric} is about recovery without the weights",
                remedy="write `access: queries`, or choose excess_ssim or max_ssim",
                at=("require" if self.require else "budget", "metric"),
            )
        return self

    def unavailable(self) -> tuple[str, ...]:
        return ("comes with a later version: reading training inputs off the weights",)
