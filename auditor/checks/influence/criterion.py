"""One explanation criterion Ω* (thesis 2.2): which explanations are acceptable, and for how many rows."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import model_validator

from auditor.checks.influence.demand import METRICS, REGIONAL, Budgeted, Demand, Demanded
from auditor.checks.influence.explaining import (
    Explained,
    batch_size,
    channel_mean,
    column_deviations,
    explain_rows,
    randomised_copy,
)
from auditor.checks.influence.query import Query
from auditor.checks.influence.tally import rows_for_a_pass
from auditor.checks.influence.wording import claim
from auditor.plan.op import op
from auditor.records import Judgement
from auditor.spec.builder import Builder, Ref
from auditor.spec.check import Check, Exclusive
from auditor.spec.rows import Rows
from auditor.terms import Linear, Region

if TYPE_CHECKING:
    from torch import Tensor


MAX_STEPS = 1024
STEPS_AT_RANDOM = 64
"""Random weights are judged roughly: with their small differences completeness would take most rows to the cap."""


class ExplanationCriterion(Query, Check):
    """{require} holds of what the model's {quantity} rests on."""

    metrics: ClassVar[dict[str, str]] = METRICS
    example: ClassVar[str] = """
quantity: {class: label}
distribution: {linear: {baseline: 0.0}}
units: attribution
require: {metric: mass, region: {border: 1}, sign: abs, at_most: 0.5, for_at_least: 0.9}
"""

    type: Literal["influence.criterion"] = "influence.criterion"  # pyright: ignore[reportIncompatibleVariableOverride]
    require: Demanded | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    budget: Budgeted | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    needs: tuple[str, ...] = ()

    @property
    def demand(self) -> Demand:
        demand = self.require or self.budget
        assert demand is not None
        return demand

    @model_validator(mode="after")
    def _metric_fits_the_question(self) -> Self:
        metric = self.demand.metric
        if metric in REGIONAL and self.slice.layer is not None:
            raise ValueError(f"{metric} is over regions of the input: use slice: input")
        if metric == "top_k_overlap" and self.slice.layer is None:
            raise ValueError("top_k_overlap ranks units of a layer: state slice: {layer: NAME}")
        return self

    def claim_text(self) -> str:
        """The criterion in words, for instance: for at least 90 % of the rows, at most 0.3 of |attribution| ..."""
        return claim(self)

    def regions(self) -> tuple[tuple[tuple[str, ...], Region], ...]:
        side = "require" if self.require is not None else "budget"
        return () if self.demand.region is None else (((side, "region"), self.demand.region),)

    def unavailable(self) -> tuple[str, ...]:
        missing = [*self.query_unavailable(), *self.demand.unavailable()]
        if self.needs:
            missing.append("needs: a criterion that depends on another check")
        return tuple(missing)

    def exclusive(self) -> Exclusive | None:
        demand = self.demand
        if demand.quantifier == "mean":
            return None
        asked = self.model_dump(mode="json", include={*Query.model_fields, "over", "where", "seed"})
        measured = demand.model_dump(mode="json", include={"metric", "region", "k", "scale", "with_"})
        return Exclusive(
            of=json.dumps([asked, measured, demand.magnitude], sort_keys=True),
            low=-math.inf if demand.at_least is None else demand.at_least,
            high=math.inf if demand.at_most is None else demand.at_most,
            share=demand.for_at_least or 1.0,
        )

    def rows_needed(self, rows: int) -> int | None:
        needed = rows_for_a_pass(self.demand, confidence=self.confidence, claim=self.claim)
        return needed if rows < needed else None

    def plan(self, build: Builder) -> Ref[Judgement]:
        over = self.over
        assert over is not None
        rows, labels, inputs = build.selected(over, self.where), build.labels(over), build.inputs(over)
        names = build.feature_names if len(build.input_shape) == 1 else None
        demand, slice = self.demand, self.slice
        if slice.layer is not None:
            slice = dataclasses.replace(slice, reduce="channel_mean")
        train = build.inputs(Rows(data="train")) if self._needs_train() else None
        mean = isinstance(self.distribution, Linear) and self.distribution.baseline == "mean"
        baseline = build.add(channel_mean, inputs=train) if mean else None
        scale = build.add(column_deviations, inputs=train) if demand.scale == "per_std" else None

        def explained(model: Ref[Any], *, max_steps: int) -> Ref[Explained]:
            return build.add(
                explain_rows,
                model=model,
                inputs=inputs,
                labels=labels,
                rows=rows,
                slice=slice,
                quantity=self.quantity.resolve(build),
                distribution=self.distribution,
                baseline=baseline,
                units=self.units,
                max_steps=max_steps,
                batch_size=batch_size(build.input_shape),
            )

        def scored(explained: Ref[Explained]) -> Ref[Any]:
            if demand.metric == "top_k_overlap":
                return build.add(
                    score_overlap, explained=explained, labels=labels, rows=rows, k=demand.k, seed=self.seed
                )
            return build.add(
                score_region,
                explained=explained,
                metric=demand.metric,
                region=demand.region,
                sign=demand.magnitude,
                scale=scale,
                shape=build.input_shape,
                feature_names=names,
            )

        trained = explained(build.model(), max_steps=MAX_STEPS)
        values = scored(trained)
        copy = build.add(randomised_copy, model=build.model(), seed=self.seed)
        random = explained(copy, max_steps=STEPS_AT_RANDOM)
        shown = build.add(
            extremes,
            values=values,
            explained=trained,
            inputs=inputs,
            rows=rows,
            sign=demand.magnitude,
            scale=scale,
            region=demand.region,
            feature_names=names,
        )
        return build.add(
            judge,
            check=self,
            values=values,
            values_randomised=scored(random),
            explained=build.add(of_rows, explained=trained),
            shown=shown,
            labels=labels,
            index=build.index(over),
            rows=rows,
            input_range=build.input_range,
        )

    def _needs_train(self) -> bool:
        mean = isinstance(self.distribution, Linear) and self.distribution.baseline == "mean"
        return mean or self.demand.scale == "per_std"


class OfRows(NamedTuple):
    """`Explained` without the influence itself."""

    prediction: Tensor
    residual: Tensor
    steps: Tensor


class Shown(NamedTuple):
    """The rows with the lowest, the median and the highest defined metric, by `positions` among the selected rows.

    `magnitudes` are there for images, `region` is its mask, `profile` for tables and layers each feature's or unit's
    mean share of the magnitude.
    """

    positions: Tensor
    inputs: Tensor
    magnitudes: Tensor | None
    region: Tensor | None
    profile: dict[str, float] | None


@op(version=1)
def score_region(
    *,
    explained: Explained,
    metric: str,
    region: Region,
    sign: Literal["positive", "abs"],
    scale: Tensor | None,
    shape: tuple[int, ...],
    feature_names: tuple[str, ...] | None,
) -> Tensor:
    """mass, mass_lift or share of each row [rows], NaN where it is undefined."""
    import torch

    from auditor.methods.influence import mass, mass_lift, regions, share

    inside = regions.mask(region, shape, feature_names)
    if len(explained.influence) == 0:
        return torch.zeros(0, dtype=torch.float64)
    if metric == "share":
        groups = None if feature_names is None else [columns for _, columns in regions.groups(feature_names)]
        return share(explained.influence, inside, groups=groups, scale=scale, sign=sign)
    return (mass if metric == "mass" else mass_lift)(explained.influence, inside, sign=sign)


@op(version=1)
def score_overlap(*, explained: Explained, labels: Tensor, rows: Tensor, k: int, seed: int) -> Tensor:
    """top_k_overlap of each row [rows]."""
    import torch

    from auditor.methods.influence import top_k_overlap

    if len(explained.influence) == 0:
        return torch.zeros(0, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    return top_k_overlap(explained.influence, labels[rows], k=k, generator=generator)


@op(version=1)
def of_rows(*, explained: Explained) -> OfRows:
    return OfRows(explained.prediction, explained.residual, explained.steps)


@op(version=1)
def extremes(
    *,
    values: Tensor,
    explained: Explained,
    inputs: Tensor,
    rows: Tensor,
    sign: Literal["positive", "abs"],
    scale: Tensor | None,
    region: Region | None,
    feature_names: tuple[str, ...] | None,
) -> Shown:
    """Lowest, median and highest by the metric, ties by position; fewer where fewer rows are defined."""
    import torch

    from auditor.methods.influence import regions
    from auditor.methods.influence.metrics import magnitude

    defined = int(values.isfinite().sum())
    order = torch.argsort(torch.where(values.isfinite(), values, torch.inf), stable=True)
    positions = order[sorted({0, defined // 2, defined - 1})] if defined else order[:0]
    size = magnitude(explained.influence, sign=sign)
    spatial = inputs.ndim > 2 and region is not None
    inside = None if region is None else regions.mask(region, tuple(inputs.shape[1:]), feature_names)
    return Shown(
        positions,
        inputs[rows[positions]],
        size[positions] if spatial else None,
        inside,
        None if spatial or not defined else _profile(explained.influence, sign, scale, region, feature_names),
    )


def _profile(
    influence: Tensor,
    sign: Literal["positive", "abs"],
    scale: Tensor | None,
    region: Region | None,
    feature_names: tuple[str, ...] | None,
) -> dict[str, float]:
    """Each feature's mean share of the magnitude; of a layer, each unit's."""
    from auditor.methods.influence import regions
    from auditor.methods.influence.metrics import feature_shares

    names = feature_names if region is not None else None
    columns = names or tuple(f"unit {column}" for column in range(influence.shape[1]))
    groups = dict(regions.groups(columns))
    shares = feature_shares(influence, groups=list(groups.values()), scale=scale, sign=sign).nanmean(0)
    return dict(zip(groups, shares.tolist(), strict=True))


@op(version=2)
def judge(
    *,
    check: ExplanationCriterion,
    values: Tensor,
    values_randomised: Tensor,
    explained: OfRows,
    shown: Shown,
    labels: Tensor,
    index: Tensor,
    rows: Tensor,
    input_range: tuple[float, float] | None,
) -> Judgement:
    from auditor.checks.influence.judgement import judgement

    return judgement(
        check,
        values=values.numpy(),
        values_randomised=values_randomised.numpy(),
        explained=explained,
        shown=shown,
        labels=labels.numpy()[rows.numpy()],
        index=index.numpy()[rows.numpy()],
        input_range=input_range,
    )
