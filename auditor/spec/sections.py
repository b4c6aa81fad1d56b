"""The sections of a spec beside its checks: model, data, defaults, gate, waivers, report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, StringConstraints, field_validator, model_validator

from auditor.spec.check import Confidence
from auditor.spec.problem import problem
from auditor.spec.rows import Rows, SliceText, accepting_text
from auditor.tagged import tupled

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]
Locator = Annotated[str, StringConstraints(pattern=r"^[^:]+(\.py)?:[A-Za-z_][A-Za-z0-9_.]*$")]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputSection(Section):
    """Shape of one input, and the box every value lies in: all radii and regions are in these units."""

    shape: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    range: tuple[float, float] | None = None

    @field_validator("range")
    @classmethod
    def _rising(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not value[0] < value[1]:
            raise problem(
                "out-of-range", f"the range [{value[0]:g}, {value[1]:g}] is empty", remedy="write [low, high]"
            )
        return value


class Normalize(Section):
    """(x − mean) / std per channel, the model's first layer."""

    mean: float | tuple[float, ...]
    std: float | tuple[float, ...]

    @field_validator("std")
    @classmethod
    def _positive(cls, value: float | tuple[float, ...]) -> float | tuple[float, ...]:
        if min(value if isinstance(value, tuple) else (value,)) <= 0:
            raise problem("out-of-range", "a standard deviation is not positive")
        return value


class ModelSection(Section):
    """What the weights belong to. ONNX files need no `architecture`.

    `assumed`: Lipschitz constants in the ℓ₂ norm that the spec's author vouches for, by the names of the network's
    modules. They count only where there is no bound of ours, and every finding that rests on one says so.
    """

    architecture: Locator | None = None
    arguments: dict[str, Any] = {}
    input: InputSection
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    normalize: Normalize | None = None
    decision: Literal["highest", "lowest"] = "highest"
    assumed: dict[str, Annotated[float, Field(ge=0)]] = {}
    sha256: Sha256 | None = None

    @field_validator("classes")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for place, name in enumerate(value):
            if name in value[:place]:
                raise problem("duplicate-key", f"class {name!r} is named twice", remedy="keep one of them", at=(place,))
        return value


class SourceSection(Section):
    """A source of rows: a path alone, or with the rows, columns and encodings to read."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=accepting_text)

    path: str
    rows: SliceText | None = None
    columns: tuple[str, ...] | None = None
    label: str | None = None
    features: tuple[str, ...] | None = None
    encodings: dict[str, Any] = {}
    attributes: tuple[str, ...] = ()
    sha256: Sha256 | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"path": value}
        if not isinstance(value, Mapping):
            return value
        lists = ("columns", "features", "attributes")
        return {key: tupled(item) if key in lists else item for key, item in value.items()}


class Defaults(Section):
    """What a check takes that does not say otherwise."""

    over: Rows | None = None
    confidence: Confidence = 0.95
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class Gate(Section):
    """Which statuses of severity-error checks block, and how much worse than the baseline is a regression."""

    block_on: tuple[Literal["fail", "inconclusive", "error"], ...] = ("fail", "inconclusive", "error")
    regression: Annotated[float, Field(ge=0)] | None = None


class Waiver(Section):
    """One exact check accepted until a day. Dates stay as written: a malformed one counts as expired."""

    check: str
    reason: Annotated[str, Field(min_length=1)]
    owner: Annotated[str, Field(min_length=1)]
    granted: str | int | float | None = None
    expires: str | int | float
    at_value: float | None = None


class ReportSection(Section):
    formats: tuple[Literal["html", "pdf", "json", "junit", "sarif", "md"], ...] = ()
    frameworks: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    redact: tuple[Literal["reconstructions", "members"], ...] = ()


class Head(Section):
    """The lines at the top of a spec."""

    auditor: int
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    purpose: str | None = None
    risk_tier: str | None = None

    @model_validator(mode="after")
    def _version(self) -> Self:
        if self.auditor != 1:
            raise problem(
                "version",
                f"this is version {self.auditor} of the spec language, only 1 is known here",
                remedy="write `auditor: 1`, or upgrade auditor",
                at=("auditor",),
            )
        return self
