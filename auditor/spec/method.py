"""How `robustness.certified` certifies: `lipschitz`, `smoothing` or `{smoothing: {sigma: 0.25}}`, `crown`."""

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
    """Linear bounds on each row's neighbourhood (Zhang et al. 2018); needs a package of its own."""

    tag: ClassVar[str] = "crown"
    __pydantic_config__: ClassVar[Any] = STRICT


Method = Annotated[Lipschitz | Smoothing | Crown, Tagged(Lipschitz, Smoothing, Crown)]
