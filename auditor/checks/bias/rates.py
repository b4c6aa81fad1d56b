"""How often each class occurs and is predicted on the same rows, and the interval of the largest gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditor.checks.common.predictions import UNCLASSIFIED
from auditor.statistics import Interval, bonferroni, paired_difference

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Rates:
    """Counts of one class. `gained`: predicted so and labelled otherwise; `lost`: labelled so and predicted otherwise.

    Unclassified rows are in `lost`; they are counted apart by label, for a class may hold them or not.
    """

    name: str
    rows: int
    labelled: int
    gained: int
    lost: int
    unknown_here: int = 0
    unknown_elsewhere: int = 0

    @property
    def prior(self) -> float:
        return self.labelled / self.rows

    @property
    def predicted_rate(self) -> float:
        return (self.labelled + self.gained - self.lost) / self.rows

    @property
    def amplification(self) -> float:
        return (self.gained - self.lost) / self.rows

    def interval(self, confidence: float | None) -> Interval:
        """Bounds on B; None for the rows themselves. Unclassified rows stand outside the class below, inside above."""
        gained, lost = self.gained + self.unknown_elsewhere, self.lost - self.unknown_here
        if confidence is None:
            return Interval(self.amplification, (gained - lost) / self.rows)
        return Interval(
            paired_difference(self.gained, self.lost, self.rows, confidence=confidence).low,
            paired_difference(gained, lost, self.rows, confidence=confidence).high,
        )

    def size(self, confidence: float | None, *, questions: int) -> Interval:
        """Bounds on |B|: the lower holds for all `questions` classes together, the upper for this one.

        The lower misses on either side of 0, hence the factor 2. The upper bound of the largest of many needs no
        correction: it misses only where the bound of that one class does.
        """
        lower = None if confidence is None else bonferroni(confidence, 2 * questions)
        low, high = self.interval(lower)
        below, above = self.interval(confidence)
        return Interval(max(low, -high, 0.0), max(-below, above))


def count_rates(label: np.ndarray, predicted: np.ndarray, classes: tuple[str, ...]) -> tuple[Rates, ...]:
    """One for each class, in order; there must be rows."""
    unknown = predicted == UNCLASSIFIED
    counted = []
    for number, name in enumerate(classes):
        here, given = label == number, predicted == number
        counted.append(
            Rates(
                name=name,
                rows=len(label),
                labelled=int(here.sum()),
                gained=int((given & ~here).sum()),
                lost=int((here & ~given).sum()),
                unknown_here=int((unknown & here).sum()),
                unknown_elsewhere=int((unknown & ~here).sum()),
            )
        )
    return tuple(counted)


def asked(rates: tuple[Rates, ...]) -> tuple[Rates, ...]:
    """The classes whose B is asked for: of two the majority (the second if equal), otherwise all."""
    if len(rates) != 2:
        return rates
    return (rates[0] if rates[0].labelled > rates[1].labelled else rates[1],)


def largest(questions: tuple[Rates, ...], confidence: float | None) -> Interval:
    """Bounds on the largest |B|."""
    sizes = [rates.size(confidence, questions=len(questions)) for rates in questions]
    return Interval(max(size.low for size in sizes), max(size.high for size in sizes))
