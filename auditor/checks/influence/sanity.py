"""Explanations follow the model: the randomisation test in influence units (thesis 4.2; Adebayo et al. 2018)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import PositiveInt

from auditor.checks.influence.query import Query
from auditor.spec.check import Check


class ExplanationSanity(Query, Check):
    """Explanations depend on what the model has learned: with random weights they come out differently.

    Each refit randomises the weights anew; the magnitudes of a row's influences are ranked under both models.
    """

    experimental: ClassVar[bool] = True
    metrics: ClassVar[dict[str, str]] = {
        "rank_correlation": "Spearman correlation of the magnitudes with those under random weights, mean over rows "
        "and refits",
    }
    example: ClassVar[str] = "budget: {metric: rank_correlation, at_most: 0.2}\n"

    type: Literal["influence.sanity"] = "influence.sanity"  # pyright: ignore[reportIncompatibleVariableOverride]
    refits: PositiveInt = 5

    def unavailable(self) -> tuple[str, ...]:
        return ("comes with a later version: the randomisation test of explanations", *self.query_unavailable())
