"""Directional bias amplification between an attribute and the task (Wang & Russakovsky 2021; thesis 9.1)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from auditor.spec.check import Check
from auditor.spec.names import ClassName


class DirectionalAmplification(Check):
    """The model does not strengthen the association between {attribute} and the label beyond that of the data.

    One amplification for each pair of a class and a value of the attribute, with simultaneous bootstrap bounds.
    """

    experimental: ClassVar[bool] = True
    metrics: ClassVar[dict[str, str]] = {
        "worst_pair": "largest amplification, by magnitude, of any pair of a class and a value of the attribute",
    }
    example: ClassVar[str] = "attribute: sex\nbudget: {metric: worst_pair, at_most: 0.05}\n"

    type: Literal["bias.directional"] = "bias.directional"  # pyright: ignore[reportIncompatibleVariableOverride]
    attribute: Annotated[str, Field(min_length=1)]
    direction: Literal["attribute_to_task", "task_to_attribute"] = "attribute_to_task"
    classes: Annotated[tuple[ClassName, ...], Field(min_length=1)] | None = None

    def unavailable(self) -> tuple[str, ...]:
        return ("comes with a later version: directional amplification",)
