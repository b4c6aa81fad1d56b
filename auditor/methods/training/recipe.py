"""How a model is made: objective, optimizer, schedules. Plain values, so that a recipe can be hashed and repeated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from auditor.terms import Affinity, Norm, Standard, TopK

STANDARD = Standard()


@dataclass(frozen=True)
class Schedule:
    """A number that moves from `start` to `end` between the fractions `after` and `until` of the run, constant outside.

    Shapes: `linear`; `exponential` (constant ratio, both ends positive); `log`, which rises at a decreasing rate as
    start + (end - start)·ln(1 + (e - 1)t) (thesis A.4 names it, the formula is ours).
    """

    start: float
    end: float | None = None
    shape: Literal["linear", "log", "exponential"] = "linear"
    after: float = 0.0
    until: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.after < self.until <= 1:
            raise ValueError(f"a schedule needs 0 <= after < until <= 1, found after={self.after}, until={self.until}")
        if self.end is not None and self.shape == "exponential" and min(self.start, self.end) <= 0:
            raise ValueError(f"an exponential schedule needs positive ends, found {self.start} and {self.end}")

    def at(self, fraction: float) -> float:
        """The value at a fraction in [0, 1] of the run."""
        if self.end is None:
            return self.start
        t = min(max((fraction - self.after) / (self.until - self.after), 0.0), 1.0)
        if self.shape == "exponential":
            return self.start * (self.end / self.start) ** t
        if self.shape == "log":
            t = math.log1p((math.e - 1) * t)
        return self.start + (self.end - self.start) * t


@dataclass(frozen=True)
class CrossEntropy:
    """The standard objective."""


@dataclass(frozen=True)
class GloRo:
    """Cross-entropy on the network with the ⊥ logit of `guarantee` (thesis 6.1, 7.2, 7.3), or with TRADES weight
    `trades` (def. 6.2). `epsilon` is a radius in `norm`, in the units of the network's input.
    """

    epsilon: Schedule
    trades: Schedule | None = None
    guarantee: Standard | TopK | Affinity = STANDARD
    norm: Norm = "l2"


@dataclass(frozen=True)
class Pgd:
    """Cross-entropy at the worst point that `steps` of projected ascent find within `epsilon` of each input and within
    `box` (Madry et al. 2018).
    """

    epsilon: Schedule
    norm: Norm = "l2"
    steps: int = 10
    box: tuple[float, float] | None = None


@dataclass(frozen=True)
class Adam:
    rate: Schedule
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Sgd:
    rate: Schedule
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Augmentation:
    """Random changes to images [channels, height, width] that leave the label as it is, drawn anew each time.

    `flip`: left and right change places half of the time. The others are the most of what is drawn evenly around none:
    `shift` as a share of each side, `rotate` in degrees, `zoom` as a share of the size, `brightness` as a share of the
    `box` that all values are kept within.
    """

    flip: bool = False
    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    brightness: float = 0.0
    box: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.brightness and self.box is None:
            raise ValueError("brightness is a share of the box of values, and no box is given")


@dataclass(frozen=True)
class Recipe:
    """Everything that, with data, architecture and seed, decides the weights. `warm_up` epochs come first, of plain
    cross-entropy. `precision` is that of the layers' products while training: weights, estimated constants, losses and
    the optimizer keep that of the model, and bounds are proved in float64 of the weights either way.
    """

    epochs: int
    batch_size: int
    objective: CrossEntropy | GloRo | Pgd = CrossEntropy()
    optimizer: Adam | Sgd = Adam(Schedule(1e-3))
    warm_up: int = 0
    initialization: Literal["default", "orthogonal"] = "default"
    augmentation: Augmentation | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
