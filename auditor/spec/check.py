"""The base of all checks.

A check is a frozen pydantic model: its fields are its part of the spec language, its docstring its claim as the report
prints it (`{field}` is filled in), its `plan` the tasks that decide it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from auditor.records import Finding, Judgement, Severity
from auditor.spec.builder import Builder, Ref
from auditor.spec.problem import problem, suggestion
from auditor.spec.rows import Rows, Where
from auditor.terms import Region

Confidence = Annotated[float, Field(gt=0.5, lt=1.0)]


class Threshold(BaseModel):
    """`metric` compared with a number: the whole interval must lie on its right side."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise problem("bad-threshold", "state exactly one of at_least and at_most")
        return self

    def recorded(self) -> dict[str, Any]:
        """What `threshold` in results.json holds: only what was stated, without the metric's name."""
        return self.model_dump(exclude_none=True, exclude={"metric"})


class Require(Threshold):
    """Must hold."""


class Budget(Threshold):
    """Must not be exceeded; only `at_most`."""

    at_least: None = None  # pyright: ignore[reportIncompatibleVariableOverride]


SHARES = frozenset(
    {
        "accuracy", "vra", "clean_accuracy", "rejection_rate", "accuracy_under_attack", "tightness", "sensitivity",
        "p_value", "cav_accuracy", "f1", "chance", "null_p95",
    }
)  # fmt: skip
"""Metrics of the contract that lie in [0, 1]: `at_least: 85` is a slip no model could make good."""


def unknown_metric(kind: str, metric: str, metrics: Iterable[str]) -> tuple[str, str]:
    """What is wrong with a threshold on a metric that a check type does not have, and the likely fix."""
    return f"{kind} has no metric {metric!r}", suggestion(metric, metrics)


class Exclusive(NamedTuple):
    """At least the share `share` of the rows known as `of` has its value in [low, high]."""

    of: str
    low: float
    high: float
    share: float


class Check(BaseModel):
    """Base of every check type. Subclasses narrow `type` to a Literal and write their claim in their docstring.

    The loader has filled in `name` (the key in the spec), and `over`, `confidence` and `seed` from `defaults`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: ClassVar[dict[str, str]] = {}
    """Metrics a threshold may name, each with its meaning in a few words."""
    shares: ClassVar[frozenset[str]] = SHARES
    """Metrics that lie in [0, 1], so that a bound outside is refused."""
    example: ClassVar[str] = ""
    """A minimal body in YAML, without `type`; the conformance test loads and plans it."""

    experimental: ClassVar[bool] = False
    """Whether this version only reads the type, and cannot run it."""

    name: str = ""
    type: str
    over: Rows | None = None
    where: Where | None = None
    require: Require | None = None
    budget: Budget | None = None
    why: str | None = None
    severity: Severity = "error"
    tags: tuple[str, ...] = ()
    confidence: Confidence = 0.95
    claim: Literal["population", "sample"] = "population"
    frameworks: dict[str, tuple[str, ...]] | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        if (self.require is None) == (self.budget is None):
            raise problem("bad-threshold", "state exactly one of require and budget")
        if self.metrics and self.threshold.metric not in self.metrics:
            what, remedy = unknown_metric(self.type, self.threshold.metric, self.metrics)
            at = ("require" if self.require else "budget", "metric")
            raise problem("unknown-metric", what, remedy=remedy, at=at)
        return self

    @model_validator(mode="after")
    def _possible(self) -> Self:
        stated = self.threshold
        if stated.metric in self.shares:
            for side, bound, never in (
                ("at_least", stated.at_least, stated.at_least is not None and stated.at_least > 1),
                ("at_most", stated.at_most, stated.at_most is not None and stated.at_most < 0),
            ):
                if never:
                    raise problem(
                        "contradiction",
                        f"{stated.metric} lies between 0 and 1: no model can satisfy {side} {bound:g}",
                        remedy=f"write {bound / 100:g}" if bound and 2 <= bound <= 100 else "choose a number in [0, 1]",
                        at=("require" if self.require else "budget", side),
                    )
        return self

    @property
    def threshold(self) -> Threshold:
        """Whichever of `require` and `budget` is stated."""
        threshold = self.require or self.budget
        assert threshold is not None
        return threshold

    def claim_text(self) -> str:
        """The claim in plain words: the docstring's first sentence with `{field}` filled in."""
        text = " ".join((type(self).__doc__ or "").split("\n\n")[0].split())
        return text.format_map({name: getattr(self, name) for name in type(self).model_fields})

    def exclusive(self) -> Exclusive | None:
        """What this check demands of single rows, for finding demands that exclude each other; None if it does not."""
        return None

    def regions(self) -> tuple[tuple[tuple[str, ...], Region], ...]:
        """Each region of the input that this check speaks of, with where it states it."""
        return ()

    def unavailable(self) -> tuple[str, ...]:
        """What this check asks for that this version cannot do yet, each in a few words; empty when it can run."""
        return ()

    def rows_needed(self, rows: int) -> int | None:
        """How many rows a pass would take at least, if `rows` could never give one; None when they could."""
        return None

    def plan(self, build: Builder) -> Ref[Judgement]:
        """Adds the tasks that decide the check and returns the promise of its judgement."""
        raise NotImplementedError(f"{self.type} cannot be planned")


__all__ = ["Budget", "Builder", "Check", "Confidence", "Finding", "Judgement", "Ref", "Require", "Threshold"]
