"""The `training` section: how the model was made, what `auditor train` runs and what shadow models repeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from auditor.spec.guarantee import Guarantee
from auditor.spec.problem import problem
from auditor.tagged import STRICT, Tagged
from auditor.terms import Norm, Standard

Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Schedule(BaseModel):
    """A number that changes over the run: from, to, shape, and the fractions between which it moves."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    from_: NonNegativeFloat = Field(alias="from")
    to: NonNegativeFloat
    shape: Literal["linear", "log", "exponential"] | None = None
    after: Fraction = 0.0
    until: Fraction = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.after >= self.until:
            raise problem("out-of-range", f"after is {self.after:g}, until {self.until:g}", at=("after",))
        if self.shape == "exponential" and min(self.from_, self.to) <= 0:
            raise problem("out-of-range", "an exponential schedule needs positive ends", at=("from",))
        return self


def _rate(value: float | Schedule) -> float | Schedule:
    """Learning rates move exponentially where no shape is stated, so neither end is 0."""
    if isinstance(value, Schedule):
        if value.shape in (None, "exponential") and min(value.from_, value.to) == 0:
            what = "a learning rate moves exponentially unless `shape` says otherwise, and so is never 0"
            raise problem(
                "out-of-range",
                what,
                remedy="write a small number, or `shape: linear`",
                at=("to" if value.to == 0 else "from",),
            )
    elif value == 0:
        raise problem("out-of-range", "the learning rate is 0")
    return value


Number = NonNegativeFloat | Schedule
Rate = Annotated[Number, AfterValidator(_rate)]


@dataclass(frozen=True)
class CrossEntropy:
    """The standard objective."""

    tag: ClassVar[str] = "cross_entropy"
    __pydantic_config__: ClassVar[Any] = STRICT


@dataclass(frozen=True)
class Trades:
    """Cross-entropy plus λ times the robust term (thesis def. 6.2)."""

    tag: ClassVar[str] = "trades"
    inline: ClassVar[bool] = True
    weight: Number


STANDARD, CROSS_ENTROPY = Standard(), CrossEntropy()
Loss = Annotated[CrossEntropy | Trades, Tagged(CrossEntropy, Trades)]


@dataclass(frozen=True)
class PgdTraining:
    """Adversarial training."""

    tag: ClassVar[str] = "pgd"
    __pydantic_config__: ClassVar[Any] = STRICT
    epsilon: Number
    norm: Norm = "l2"
    steps: PositiveInt = 10


@dataclass(frozen=True)
class GloRoTraining:
    """Training for certificates (thesis ch. 6, 7)."""

    tag: ClassVar[str] = "gloro"
    __pydantic_config__: ClassVar[Any] = STRICT
    epsilon: Number
    norm: Norm = "l2"
    guarantee: Guarantee = STANDARD
    loss: Loss = CROSS_ENTROPY


@dataclass(frozen=True)
class Adam:
    tag: ClassVar[str] = "adam"
    __pydantic_config__: ClassVar[Any] = STRICT
    lr: Rate = 1e-3
    weight_decay: NonNegativeFloat = 0.0


@dataclass(frozen=True)
class Sgd:
    tag: ClassVar[str] = "sgd"
    __pydantic_config__: ClassVar[Any] = STRICT
    lr: Rate
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    weight_decay: NonNegativeFloat = 0.0


@dataclass(frozen=True)
class Flip:
    """Left and right change places half of the time."""

    tag: ClassVar[str] = "flip"
    __pydantic_config__: ClassVar[Any] = STRICT


@dataclass(frozen=True)
class Shift:
    """Whole pixels across and down, up to this share of each side."""

    tag: ClassVar[str] = "shift"
    inline: ClassVar[bool] = True
    most: Share


@dataclass(frozen=True)
class Rotate:
    """Degrees about the centre, up to this either way."""

    tag: ClassVar[str] = "rotate"
    inline: ClassVar[bool] = True
    most: Annotated[float, Field(gt=0, le=180)]


@dataclass(frozen=True)
class Zoom:
    """Larger or smaller by up to this share."""

    tag: ClassVar[str] = "zoom"
    inline: ClassVar[bool] = True
    most: Share


@dataclass(frozen=True)
class Brightness:
    """Lighter or darker by up to this share of `model.input.range`."""

    tag: ClassVar[str] = "brightness"
    inline: ClassVar[bool] = True
    most: Share


Augment = Annotated[Flip | Shift | Rotate | Zoom | Brightness, Tagged(Flip, Shift, Rotate, Zoom, Brightness)]


def _each_once(stated: tuple[Augment, ...]) -> tuple[Augment, ...]:
    for place, one in enumerate(stated):
        if any(type(one) is type(other) for other in stated[:place]):
            raise problem("duplicate-key", f"{one.tag} is named twice", remedy="keep one of them", at=(place,))
    return stated


class Privacy(BaseModel):
    """Differentially private training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise_multiplier: PositiveFloat
    clip: PositiveFloat


class Training(BaseModel):
    """A declared recipe, or `recipe: file.py:callable`, a function (model, data, seed, device) -> model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objective: Annotated[
        CrossEntropy | PgdTraining | GloRoTraining, Tagged(CrossEntropy, PgdTraining, GloRoTraining)
    ] = CrossEntropy()
    optimizer: Annotated[Adam | Sgd, Tagged(Adam, Sgd)] = Adam()
    epochs: PositiveInt | None = None
    batch_size: PositiveInt = 128
    warm_up: NonNegativeInt = 0
    augment: Annotated[tuple[Augment, ...], AfterValidator(_each_once)] = ()
    initialization: Literal["default", "orthogonal"] = "default"
    precision: Literal["float32", "bfloat16"] = "float32"
    privacy: Privacy | None = None
    transforms: tuple[dict[str, Any], ...] = ()
    recipe: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.recipe is None and self.epochs is None:
            raise problem("missing-key", "training states no epochs", remedy="add `epochs`, or a `recipe`")
        return self
