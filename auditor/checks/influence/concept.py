"""Sensitivity of a class to a human concept: TCAV with refitted concept vectors (Kim et al. 2018)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from auditor.checks.influence.query import AnySlice, Quantity
from auditor.spec.check import Check
from auditor.spec.problem import problem
from auditor.spec.rows import Rows


class ConceptSensitivity(Check):
    """The concept {concept} moves {quantity} for as many rows as demanded, and for a reason other than chance.

    A concept is the rows of a source that show it. Its vector is refitted `refits` times against as many draws of
    `random` rows, and tested against vectors between random rows alone, Holm-corrected over concepts.
    """

    experimental: ClassVar[bool] = True
    metrics: ClassVar[dict[str, str]] = {
        "sensitivity": "share of rows whose quantity rises along the concept's vector",
        "p_value": "of the sensitivity against vectors between random rows, Holm-corrected",
        "cav_accuracy": "held-out accuracy of the concept's vector at telling concept from random rows",
    }
    example: ClassVar[str] = """
concept: test
random: test
slice: {layer: blocks.1}
quantity: {class: label}
budget: {metric: sensitivity, at_most: 0.5}
"""

    type: Literal["influence.concept"] = "influence.concept"  # pyright: ignore[reportIncompatibleVariableOverride]
    concept: Rows
    random: Rows
    slice: AnySlice
    quantity: Quantity = Quantity.model_validate({"class": "predicted"})
    refits: Annotated[int, Field(ge=2)] = 20

    @model_validator(mode="after")
    def _in_a_layer(self) -> Self:
        if self.slice.layer is None:
            raise problem(
                "wrong-value",
                "a concept is a direction in a layer, not in the input",
                remedy="write `slice: {layer: NAME}`",
                at=("slice",),
            )
        return self

    def unavailable(self) -> tuple[str, ...]:
        return ("comes with a later version: concept vectors (TCAV)",)
