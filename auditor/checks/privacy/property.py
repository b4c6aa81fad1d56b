"""Properties of the training data read off reconstructions, by shadow models (thesis 8.5, alg. 8.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from auditor.spec.check import Check
from auditor.spec.rows import Rows
from auditor.tagged import STRICT, Tagged

Share = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True)
class Watermark:
    """A share of the rows carries a text in one corner."""

    tag: ClassVar[str] = "watermark"
    __pydantic_config__: ClassVar[Any] = STRICT
    text: Annotated[str, Field(min_length=1)]
    corner: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = "bottom-right"
    font: str | None = None
    share: Share = 1.0


@dataclass(frozen=True)
class Colour:
    """A share of the rows is tinted with a colour, one number in [0, 1] per channel."""

    tag: ClassVar[str] = "colour"
    __pydantic_config__: ClassVar[Any] = STRICT
    colour: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1)]
    share: Share = 1.0


@dataclass(frozen=True)
class Attributes:
    """A share of the rows has these values of their attributes."""

    tag: ClassVar[str] = "attributes"
    __pydantic_config__: ClassVar[Any] = STRICT
    values: Annotated[dict[str, str | int | float | bool], Field(min_length=1)]
    share: Share = 1.0


Property = Annotated[Watermark | Colour | Attributes, Tagged(Watermark, Colour, Attributes)]


class PropertyInference(Check):
    """An attacker with the weights cannot tell which of the declared properties the training data has.

    `shadows` models are trained on `rows` with and without each property; a set transformer judges `reconstructions`
    of each. Intervals are over models.
    """

    experimental: ClassVar[bool] = True
    metrics: ClassVar[dict[str, str]] = {
        "f1": "macro F1 of the property inferred, over models",
        "accuracy": "share of models whose property is inferred",
        "chance": "accuracy of a guess",
        "null_p95": "95th percentile of the accuracy with permuted properties",
    }
    example: ClassVar[str] = """
rows: train
properties:
  logo: {watermark: {text: auditor, share: 0.5}}
budget: {metric: accuracy, at_most: 0.6}
"""

    type: Literal["privacy.property"] = "privacy.property"  # pyright: ignore[reportIncompatibleVariableOverride]
    rows: Rows
    properties: Annotated[dict[str, Property], Field(min_length=1)]
    shadows: Annotated[int, Field(ge=2)] = 512
    epochs: PositiveInt | None = None
    reconstructions: PositiveInt = 64
    seeds: PositiveInt = 8

    def unavailable(self) -> tuple[str, ...]:
        return ("comes with a later version: property inference",)
