"""A question put to a network, as a spec writes it: slice, quantity, distribution and units (thesis 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt, WrapValidator, model_validator

from auditor import terms
from auditor.spec.builder import Builder
from auditor.spec.names import ClassName
from auditor.terms import Class, Distribution, Linear, Point, Slice, Units


def _or(*keywords: str) -> WrapValidator:
    """A class name, or one of `keywords`, which stand before it."""

    def check(name: Any, handler: Callable[[Any], str]) -> str:
        return name if name in keywords else handler(name)

    return WrapValidator(check)


class NeuronOf(BaseModel):
    """One unit of a layer's output, by its index without the batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: str
    index: NonNegativeInt | tuple[NonNegativeInt, ...]


class ChannelOf(BaseModel):
    """One channel of a layer's output, reduced over its positions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: str
    index: NonNegativeInt
    reduce: Literal["mean", "max"] = "mean"


class Quantity(BaseModel):
    """What is explained: `{class: A, against: B}`, `{neuron: {layer, index}}`, `{channel: {layer, index, reduce}}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    class_: Annotated[ClassName, _or("label", "predicted")] | None = Field(default=None, alias="class")
    against: Annotated[ClassName, _or("rest", "label", "predicted")] | None = None
    on: terms.Score = "logit"
    neuron: NeuronOf | None = None
    channel: ChannelOf | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        stated = [name for name in ("class_", "neuron", "channel") if getattr(self, name) is not None]
        if len(stated) != 1:
            raise ValueError("state exactly one of class, neuron and channel")
        if self.class_ is None and (self.against is not None or self.on != "logit"):
            raise ValueError("against and on belong to a class")
        if self.class_ is not None and self.class_ == self.against:
            raise ValueError(f"{self.class_} against itself is 0 whatever the model")
        return self

    def __str__(self) -> str:
        if self.neuron is not None:
            return f"neuron {self.neuron.index} of {self.neuron.layer}"
        if self.channel is not None:
            return f"channel {self.channel.index} of {self.channel.layer}"
        words = {"label": "the row's label", "predicted": "the predicted class", "rest": "the mean of the rest"}
        lead = f" against {words.get(self.against, self.against)}" if self.against else ""
        odds = ", as a probability" if self.on == "probability" else ""
        return f"{words.get(self.class_ or '', self.class_)}{lead}{odds}"

    def resolve(self, build: Builder) -> terms.Quantity:
        """With classes as indices, as `methods.influence` takes it."""
        if self.neuron is not None:
            return terms.Neuron(self.neuron.layer, self.neuron.index)
        if self.channel is not None:
            return terms.Channel(self.channel.layer, self.channel.index, self.channel.reduce)
        assert self.class_ is not None

        def index(name: Any, keywords: tuple[str, ...]) -> Any:
            return name if name is None or name in keywords else build.class_index(name)

        return Class(
            index(self.class_, ("label", "predicted")), index(self.against, ("rest", "label", "predicted")), self.on
        )


def _slice(value: Any) -> Any:
    return Slice() if value == "input" else value


AnySlice = Annotated[Slice, BeforeValidator(_slice, json_schema_input_type=Slice | Literal["input"])]
"""`input`, or `{layer: NAME}` with optional `at: input` and `reduce: channel_mean`."""


class Query(BaseModel):
    """Slice, quantity, distribution and units, with their defaults; mixed into the checks that ask."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slice: AnySlice = Slice()
    quantity: Quantity = Quantity.model_validate({"class": "predicted"})
    distribution: Distribution = Point()
    units: Units = "influence"

    @model_validator(mode="after")
    def _attribution_has_a_baseline(self) -> Self:
        if self.units == "attribution":
            if not isinstance(self.distribution, Linear):
                raise ValueError(
                    "attribution is relative to a baseline: use {linear: {baseline: ...}} or units influence"
                )
            if self.slice.layer is not None and self.distribution.at == "input":
                raise ValueError("attribution to a layer is complete only along a line in the slice: state in: slice")
        return self

    def query_unavailable(self) -> tuple[str, ...]:
        """The parts of the question this version cannot ask yet."""
        missing = []
        if not isinstance(self.distribution, (Point, Linear)):
            missing.append(f"the distribution {self.distribution.tag}")
        if isinstance(self.distribution, Linear) and str(self.distribution.baseline).endswith(terms.BASELINE_FILES):
            missing.append("a baseline from a file")
        return tuple(missing)

    @property
    def unit(self) -> str:
        """The word for what is measured, as captions use it."""
        return "influence" if self.units == "influence" else "attribution"

    def asked(self) -> str:
        """What is measured, of what, on what, in words."""
        where = "the input" if self.slice.layer is None else f"layer {self.slice.layer}"
        return f"{self.unit} of {where} on {self.quantity}"

    def points(self) -> str:
        """The distribution of interest in words."""
        match self.distribution:
            case Point():
                return "at the row itself"
            case Linear(baseline=float(number)):
                return f"on the line from {number:g}"
            case Linear(baseline="mean"):
                return "on the line from each channel's mean"
            case Linear(baseline="blur"):
                return "on the line from the blurred input"
            case Linear(baseline=file):
                return f"on the line from {file}"
            case other:
                return f"over the {other.tag} distribution"
