"""Option values that a spec writes down and `methods` compute with. Torch-free.

Each value is a frozen dataclass; one that is a choice among several carries the `tag` by which YAML spells it
(`auditor.tagged`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt
from typing_extensions import TypeAliasType

from auditor.tagged import STRICT, Tagged

Norm = Literal["l2", "linf"]
Units = Literal["influence", "attribution"]


# Robustness guarantees (thesis 5.2, 7.2, 7.3)


@dataclass(frozen=True)
class Standard:
    """The predicted class does not change (thesis def. 5.1)."""

    tag: ClassVar[str] = "standard"
    __pydantic_config__: ClassVar[Any] = STRICT


@dataclass(frozen=True)
class TopK:
    """The set of the k highest classes does not change, for some k up to `k` (thesis def. 7.1)."""

    tag: ClassVar[str] = "top_k"
    inline: ClassVar[bool] = True
    k: PositiveInt


@dataclass(frozen=True)
class Affinity:
    """As top-k, and the set lies within one of `sets` of acceptable confusions (thesis def. 7.2); class indices."""

    tag: ClassVar[str] = "affinity"
    sets: tuple[tuple[int, ...], ...]


Guarantee = Annotated[Standard | TopK | Affinity, Tagged(Standard, TopK, Affinity)]


# Regions of an input (what a criterion speaks about)


@dataclass(frozen=True)
class Box:
    """A rectangle of an image, in pixels: top, left, height, width."""

    tag: ClassVar[str] = "box"
    inline: ClassVar[bool] = True
    box: tuple[NonNegativeInt, NonNegativeInt, PositiveInt, PositiveInt]


@dataclass(frozen=True)
class Border:
    """The frame of `width` pixels around an image."""

    tag: ClassVar[str] = "border"
    inline: ClassVar[bool] = True
    width: PositiveInt


@dataclass(frozen=True)
class Mask:
    """A mask from a file, or per row from a column of the data."""

    tag: ClassVar[str] = "mask"
    inline: ClassVar[bool] = True
    source: str


@dataclass(frozen=True)
class Features:
    """Named features of a tabular input; a one-hot group counts as one."""

    tag: ClassVar[str] = "features"
    inline: ClassVar[bool] = True
    names: Annotated[tuple[str, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Not:
    """Everything outside `region`."""

    tag: ClassVar[str] = "not"
    inline: ClassVar[bool] = True
    region: Region


@dataclass(frozen=True)
class AnyOf:
    """The union of regions."""

    tag: ClassVar[str] = "any"
    inline: ClassVar[bool] = True
    regions: Annotated[tuple[Region, ...], Field(min_length=1)]


@dataclass(frozen=True)
class AllOf:
    """The intersection of regions."""

    tag: ClassVar[str] = "all"
    inline: ClassVar[bool] = True
    regions: Annotated[tuple[Region, ...], Field(min_length=1)]


Region = TypeAliasType(
    "Region",
    Annotated[
        Box | Border | Mask | Features | Not | AnyOf | AllOf,
        Tagged(Box, Border, Mask, Features, Not, AnyOf, AllOf),
    ],
)


# Distributions of interest (thesis 3.2.2). `at` (in a spec: `in`) says where they live: the input, or the slice itself

Place = Literal["input", "slice"]
InPlace = Annotated[Place, Field(alias="in")]
if TYPE_CHECKING:
    from torch import Tensor

    Baseline = float | str | Tensor
else:
    Baseline = float | str

BASELINE_FILES = (".npy", ".png")


@dataclass(frozen=True)
class Point:
    """All weight on the input itself: the gradient (saliency)."""

    tag: ClassVar[str] = "point"
    __pydantic_config__: ClassVar[Any] = STRICT


@dataclass(frozen=True)
class Linear:
    """Uniform on the line from `baseline` to the input: Integrated Gradients.

    The baseline is a number, `mean` (of each channel, over the training data), `blur` (the input, blurred), a .npy or
    .png file, or in Python a tensor of an input's shape. It has no default: what an influence is relative to is part
    of the question (thesis 3.1).
    """

    tag: ClassVar[str] = "linear"
    spelled: ClassVar[Mapping[str, str]] = {"at": "in"}
    __pydantic_config__: ClassVar[Any] = STRICT
    baseline: Baseline
    at: InPlace = "input"

    def __post_init__(self) -> None:
        named = self.baseline
        if isinstance(named, str) and named not in ("mean", "blur") and not named.endswith(BASELINE_FILES):
            raise ValueError(f"baseline {named!r} is neither a number, mean, blur, nor a .npy or .png file")


@dataclass(frozen=True)
class Gaussian:
    """Normal around the input: SmoothGrad."""

    tag: ClassVar[str] = "gaussian"
    spelled: ClassVar[Mapping[str, str]] = {"at": "in"}
    __pydantic_config__: ClassVar[Any] = STRICT
    std: Annotated[float, Field(gt=0)]
    samples: PositiveInt = 64
    at: InPlace = "input"


@dataclass(frozen=True)
class Uniform:
    """Uniform over [`low`, `high`] in one feature, the others as in the input; in Python the feature is an index."""

    tag: ClassVar[str] = "uniform"
    spelled: ClassVar[Mapping[str, str]] = {"at": "in"}
    __pydantic_config__: ClassVar[Any] = STRICT
    feature: str | int
    low: float
    high: float
    samples: PositiveInt = 64
    at: InPlace = "input"

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")


@dataclass(frozen=True)
class Population:
    """Uniform over rows of a source: one influence for a whole population."""

    tag: ClassVar[str] = "rows"
    spelled: ClassVar[Mapping[str, str]] = {"at": "in"}
    __pydantic_config__: ClassVar[Any] = STRICT
    data: str
    rows: str | None = None
    at: InPlace = "input"


Distribution = Annotated[
    Point | Linear | Gaussian | Uniform | Population, Tagged(Point, Linear, Gaussian, Uniform, Population)
]


# Quantities of interest (thesis 3.2.1), on logits unless `on` says otherwise

Score = Literal["logit", "probability"]


@dataclass(frozen=True)
class Class:
    """The score of one class, or its lead over another: `of` an index, the row's label or the model's prediction.

    `against` an index is the difference of the two scores, against `rest` that to the mean score of all other classes.
    """

    of: int | Literal["label", "predicted"] = "predicted"
    against: int | Literal["rest"] | None = None
    on: Score = "logit"

    def __post_init__(self) -> None:
        if self.against is not None and self.of == self.against:
            raise ValueError(f"a class against itself ({self.of}) is 0 whatever the model")


@dataclass(frozen=True)
class Neuron:
    """One unit of a layer's output: `index` into its shape without the batch."""

    layer: str
    index: int | tuple[int, ...]


@dataclass(frozen=True)
class Channel:
    """One channel of a layer's output, reduced over its positions."""

    layer: str
    index: int
    reduce: Literal["mean", "max"] = "mean"


Quantity = Class | Neuron | Channel


@dataclass(frozen=True)
class Slice:
    """A cut through the network: the output (or input) of `layer`, or the network's own input where `layer` is None.

    `reduce: channel_mean` averages over the positions of each channel, so that the units are channels.
    """

    __pydantic_config__: ClassVar[Any] = STRICT
    layer: str | None = None
    at: Literal["output", "input"] = "output"
    reduce: Literal["channel_mean"] | None = None

    def __post_init__(self) -> None:
        if self.layer is None and (self.at != "output" or self.reduce is not None):
            raise ValueError("at and reduce belong to a layer; name it")


# Attacks on robustness


@dataclass(frozen=True)
class Pgd:
    """Projected gradient ascent: `restarts` of them from random starts, then one at each of the `targets` likeliest
    other classes. None takes more than `steps` steps; `step` is their length as a share of epsilon, adaptive if absent.
    """

    tag: ClassVar[str] = "pgd"
    __pydantic_config__: ClassVar[Any] = STRICT
    steps: PositiveInt = 50
    restarts: PositiveInt = 5
    targets: NonNegativeInt = 3
    step: Annotated[float, Field(gt=0)] | None = None


Attack = Annotated[Pgd, Tagged(Pgd)]
