"""Membership inference: can an attacker tell which rows the model was trained on (thesis 8.1.1, 8.2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from auditor.plan.op import op
from auditor.records import Judgement
from auditor.spec.builder import Builder, Ref
from auditor.spec.check import Check
from auditor.spec.problem import problem
from auditor.spec.rows import Rows

if TYPE_CHECKING:
    from torch import Tensor

Attack = Literal["naive", "loss", "shadow", "bayesian", "displacement", "rmia", "lira"]
AVAILABLE: tuple[Attack, ...] = ("naive", "loss")
BATCH_ELEMENTS = 256 * 3 * 64 * 64


class Shadows(BaseModel):
    """How many models of its own an attack trains, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: PositiveInt
    epochs: PositiveInt | None = None


class Membership(Check):
    """The attacks tried tell rows of {members} from rows the model never saw no better than the budget allows."""

    metrics: ClassVar[dict[str, str]] = {"advantage": "true-positive minus false-positive rate of the strongest attack"}
    example: ClassVar[str] = "members: train\nattacks: [naive, loss]\nbudget: {metric: advantage, at_most: 0.2}\n"

    type: Literal["privacy.membership"] = "privacy.membership"  # pyright: ignore[reportIncompatibleVariableOverride]
    members: Rows
    attacks: Annotated[tuple[Attack, ...], Field(min_length=1)] = AVAILABLE
    shadows: Shadows | None = None

    @model_validator(mode="after")
    def _attacks_once(self) -> Self:
        for place, attack in enumerate(self.attacks):
            if attack in self.attacks[:place]:
                raise problem("duplicate-key", f"attack {attack!r} is named twice", at=("attacks", place))
        if self.threshold.at_most is None:
            raise problem("bad-threshold", "a leak is bounded from above: state at_most", at=("require",))
        return self

    def unavailable(self) -> tuple[str, ...]:
        return tuple(f"attack {attack}" for attack in self.attacks if attack not in AVAILABLE)

    def rows_needed(self, rows: int) -> int | None:
        """Where every row is called a member on both sides, the upper bound of the difference is about z²/(n + z²)."""
        limit = self.threshold.at_most
        if limit is None or not 0 < limit < 1 or self.claim == "sample":
            return None
        from statistics import NormalDist

        needed = math.ceil(NormalDist().inv_cdf(self.confidence) ** 2 * (1 / limit - 1))
        return needed if rows < needed else None

    def plan(self, build: Builder) -> Ref[Judgement]:
        over = self.over
        assert over is not None
        outside = build.selected(over, self.where)
        inside = build.add(
            sample_rows, candidates=build.selected(self.members, self.where), like=outside, seed=self.seed
        )
        size = max(1, min(4096, BATCH_ELEMENTS // max(1, math.prod(build.input_shape))))
        return build.add(
            judge,
            check=self,
            members=build.add(
                forward_rows, model=build.model(), inputs=build.inputs(self.members), rows=inside, batch_size=size
            ),
            member_labels=build.labels(self.members),
            member_index=build.index(self.members),
            member_rows=inside,
            others=build.logits(over),
            other_labels=build.labels(over),
            other_index=build.index(over),
            other_rows=outside,
        )


@op(version=1)
def sample_rows(*, candidates: Tensor, like: Tensor, seed: int) -> Tensor:
    """As many of `candidates` as `like` holds, without replacement, in ascending order; all where there are fewer."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(candidates), generator=generator)[: len(like)]
    return candidates[chosen].sort().values


@op(version=1, device=True)
def forward_rows(
    *,
    model: Any,
    inputs: Tensor,
    rows: Tensor,
    batch_size: int,
    device: str,
    progress: Callable[[int, int], None],
) -> Tensor:
    """float32 logits [chosen rows, classes], on the CPU: the sample alone goes through the model."""
    import torch

    parts = []
    with torch.inference_mode():
        for chosen in rows.split(batch_size):
            parts.append(model(inputs[chosen].to(device)).cpu())
            progress(sum(map(len, parts)), len(rows))
    return torch.cat(parts) if parts else torch.empty(0, len(model.classes))


class Sides(NamedTuple):
    """Members, then non-members: scores by attack, `member`, and `row`, the number in its source; each [rows]."""

    scores: dict[str, Tensor]
    member: Tensor
    row: Tensor


@op(version=4)
def judge(
    *,
    check: Membership,
    members: Tensor,
    member_labels: Tensor,
    member_index: Tensor,
    member_rows: Tensor,
    others: Tensor,
    other_labels: Tensor,
    other_index: Tensor,
    other_rows: Tensor,
) -> Judgement:
    import torch

    from auditor.checks.privacy.membership_judgement import membership_judgement
    from auditor.methods.privacy import SCORES

    logits = torch.cat((members, others[other_rows]))
    labels = torch.cat((member_labels[member_rows], other_labels[other_rows]))
    member = torch.arange(len(logits)) < len(members)
    index = torch.cat((member_index[member_rows], other_index[other_rows]))
    scores = {attack: SCORES[attack](logits, labels) for attack in check.attacks}
    return membership_judgement(check, Sides(scores, member, index))
