"""What a criterion demands: a metric of each row's influence, a predicate on it, and for how many rows it must hold."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, PositiveInt, model_validator

from auditor.checks.influence.query import Quantity
from auditor.spec.check import Budget, Require, Threshold, unknown_metric
from auditor.spec.problem import problem
from auditor.tagged import written
from auditor.terms import AllOf, AnyOf, Border, Box, Features, Mask, Not, Region

METRICS = {
    "mass": "share of the influence that lies inside the region",
    "mass_lift": "that share over the region's share of the area",
    "share": "share of the influence that belongs to a feature or group",
    "not_in_top": "whether a feature or group is not among the k most influential",
    "min_gradient": "the least influence of a feature over the distribution",
    "top_k_overlap": "share of a row's k most influential units among those of other rows of its label",
    "rank_correlation": "Spearman correlation of the magnitudes with those of another quantity",
}
REGIONAL = ("mass", "mass_lift", "share", "not_in_top", "min_gradient")
RANGES = {
    "mass": (0.0, 1.0),
    "mass_lift": (0.0, math.inf),
    "share": (0.0, 1.0),
    "not_in_top": (0.0, 1.0),
    "min_gradient": (-math.inf, math.inf),
    "top_k_overlap": (0.0, 1.0),
    "rank_correlation": (-1.0, 1.0),
}
MEASURED = ("mass", "mass_lift", "share", "top_k_overlap")
RANKED = ("not_in_top", "top_k_overlap")


class Demand(Threshold):
    """A metric with its region, a bound on it, and a quantifier: `for: all`, `for_at_least: q` or `aggregate: mean`.

    Without a quantifier every row must satisfy the bound, as conceptual soundness is defined (thesis def. 2.1).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    region: Region | None = None
    sign: Literal["positive", "abs"] | None = None
    k: PositiveInt | None = None
    scale: Literal["none", "per_std"] = "none"
    undefined: Literal["fails", "exclude"] = "fails"
    with_: Quantity | None = Field(default=None, alias="with")
    for_at_least: Annotated[float, Field(gt=0, lt=1)] | None = None
    for_: Literal["all"] | None = Field(default=None, alias="for")
    aggregate: Literal["mean"] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.metric not in METRICS:
            what, remedy = unknown_metric("influence.criterion", self.metric, METRICS)
            raise problem("unknown-metric", what, remedy=remedy, at=("metric",))
        stated = [name for name in ("for_at_least", "for_", "aggregate") if getattr(self, name) is not None]
        if len(stated) > 1:
            raise ValueError("state one of for: all, for_at_least and aggregate: mean")
        if (self.region is None) == (self.metric in REGIONAL):
            raise ValueError(f"{self.metric} {'needs' if self.region is None else 'has no'} region")
        if (self.k is None) == (self.metric in RANKED):
            raise ValueError(f"{self.metric} {'needs' if self.k is None else 'has no'} k")
        if (self.with_ is None) == (self.metric == "rank_correlation"):
            raise ValueError(f"{self.metric} {'needs' if self.with_ is None else 'has no'} quantity to compare with")
        if self.scale != "none" and self.metric not in ("share", "not_in_top"):
            raise ValueError("scale belongs to share and not_in_top: it makes features comparable")
        return self

    @model_validator(mode="after")
    def _satisfiable(self) -> Self:
        """No criterion that no model can satisfy (thesis def. 2.2)."""
        low, high = RANGES[self.metric]
        side, bound = ("at_least", self.at_least) if self.at_least is not None else ("at_most", self.at_most)
        assert bound is not None
        if bound > high if side == "at_least" else bound < low:
            limit = f"above {high:g}" if side == "at_least" else f"below {low:g}"
            raise problem(
                "contradiction",
                f"{self.metric} is never {limit}: no model can satisfy {side} {bound:g}",
                remedy=f"choose a number in [{low:g}, {high:g}]",
                at=(side,),
            )
        return self

    @property
    def magnitude(self) -> Literal["positive", "abs"]:
        """`sign`, which for images defaults to what speaks for the quantity, for features to any influence."""
        return self.sign or ("positive" if self.metric in ("mass", "mass_lift") else "abs")

    @property
    def quantifier(self) -> Literal["all", "at_least", "mean"]:
        return "mean" if self.aggregate else "all" if self.for_at_least is None else "at_least"

    def recorded(self) -> dict[str, Any]:
        bound = {side: getattr(self, side) for side in ("at_least", "at_most") if getattr(self, side) is not None}
        if self.quantifier == "at_least":
            return bound | {"for_at_least": self.for_at_least}
        return bound | ({"for": "all"} if self.quantifier == "all" else {"aggregate": "mean"})

    def unavailable(self) -> tuple[str, ...]:
        """The parts of the demand this version cannot measure yet."""
        missing = []
        if self.metric not in MEASURED:
            missing.append(f"the metric {self.metric}")
        if "mask" in _tags(written(self.region)):
            missing.append("masks from a file or a column")
        return tuple(missing)


class Demanded(Demand, Require):
    """A demand that must hold."""


class Budgeted(Demand, Budget):
    """A demand that must not be exceeded; only `at_most`."""

    at_least: None = None  # pyright: ignore[reportIncompatibleVariableOverride]


def region_text(region: Region) -> str:
    """The region in words."""
    match region:
        case Border(width=1):
            return "the 1-pixel border"
        case Border(width=width):
            return f"the {width}-pixel border"
        case Box(box=(top, left, height, width)):
            return f"the {height}×{width} box at row {top}, column {left}"
        case Mask(source=source):
            return f"the mask {source}"
        case Features(names=names):
            return " and ".join(names) if len(names) < 3 else f"{len(names)} features"
        case Not(region=inner):
            return f"all but {region_text(inner)}"
        case AnyOf(regions=several):
            return " or ".join(region_text(each) for each in several)
        case AllOf(regions=several):
            return " and ".join(region_text(each) for each in several)


def _tags(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {tag for item in value.values() for tag in _tags(item)}
    return {tag for item in value for tag in _tags(item)} if isinstance(value, list) else set()
