"""How `robustness.certified` certifies: `lipschitz`, `crown` or `{crown: {seconds: 5}}`, `smoothing` likewise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field, PositiveInt

from auditor.tagged import STRICT, Tagged


@dataclass(frozen=True)
class Lipschitz:
    """Global Lipschitz constants of the margins (thesis 5.3, 6.1): deterministic, one forward pass a row."""

    tag: ClassVar[str] = "lipschitz"
    __pydantic_config__: ClassVar[Any] = STRICT


@dataclass(frozen=True)
class Smoothing:
    """Randomized smoothing (Cohen et al. 2019): certifies the model's majority vote under Gaussian noise, each row with
    probability 1 − `alpha`.

    `sigma`: standard deviation of the noise, the check's epsilon if absent. `first`: samples that choose the class.
    `samples`: fresh ones that bound its probability.
    """

    tag: ClassVar[str] = "smoothing"
    __pydantic_config__: ClassVar[Any] = STRICT
    sigma: Annotated[float, Field(gt=0)] | None = None
    first: PositiveInt = 100
    samples: PositiveInt = 10_000
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.001


@dataclass(frozen=True)
class Crown:
    """As `lipschitz`, then linear bounds on the neighbourhood of each row that stays undecided (Zhang et al. 2018):
    deterministic but for the clock, and certifies the check's epsilon, no larger radius.

    `seconds`: the time a row may take to sharpen its bounds once the first ones, which are always computed, fall short.
    """

    tag: ClassVar[str] = "crown"
    __pydantic_config__: ClassVar[Any] = STRICT
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0


Method = Annotated[Lipschitz | Smoothing | Crown, Tagged(Lipschitz, Smoothing, Crown)]
