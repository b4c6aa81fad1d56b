"""How a model is made: objective, optimizer, schedules. Plain values, so that a recipe can be hashed and repeated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


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
    """Cross-entropy on the network with its ⊥ logit (thesis 6.1), or with TRADES weight `trades` (thesis def. 6.2)."""

    epsilon: Schedule
    trades: Schedule | None = None


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
class Recipe:
    """Everything that, with data, architecture and seed, decides the weights."""

    epochs: int
    batch_size: int
    objective: CrossEntropy | GloRo = CrossEntropy()
    optimizer: Adam | Sgd = Adam(Schedule(1e-3))
    warm_up: int = 0
    initialization: Literal["default", "orthogonal"] = "default"
