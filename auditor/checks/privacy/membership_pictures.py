"""What a membership finding shows: the ROC curve on logarithmic axes, what the rows can decide, the attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from auditor.records import AnyEvidence, Axis, Column, Curve, Mark, Series, Table
from auditor.statistics import chance_of_fail, chance_of_pass, clopper_pearson_bounds

if TYPE_CHECKING:
    import pyarrow as pa

    from auditor.checks.privacy.membership import Membership, Sides
    from auditor.checks.privacy.membership_judgement import Attacked

GRID = 80


class Drawn(NamedTuple):
    """Evidence, and the tables it speaks of by id."""

    evidence: tuple[AnyEvidence, ...]
    tables: dict[str, Any]


def pictures(
    check: Membership, sides: Sides, attacks: list[Attacked], worst: Attacked, *, budget: float, points: int
) -> Drawn:
    """The ROC of the strongest attack that ranks rows, the chance of each verdict, and the table of attacks."""
    made: list[tuple[AnyEvidence, pa.Table]] = []
    ranking = [attack for attack in attacks if attack.name != "naive"]
    if ranking:
        strongest = max(ranking, key=lambda attack: attack.interval.high)
        made.append(_roc(check, sides, strongest, budget))
    made += [_power(check, worst, len(attacks), budget, points), _table(attacks)]
    return Drawn(tuple(item for item, _ in made), {item.id: table for item, table in made})


def _roc(check: Membership, sides: Sides, attack: Attacked, budget: float) -> tuple[Curve, pa.Table]:
    import numpy as np
    import pyarrow as pa

    scores = np.nan_to_num(sides.scores[attack.name].numpy(), nan=-np.inf)
    member = sides.member.numpy()
    inside, outside = np.sort(scores[member])[::-1], np.sort(scores[~member])[::-1]
    first = min(10 / attack.others, 0.5)
    alarms = np.unique(np.round(np.geomspace(first, 1.0, GRID) * attack.others).astype(int))
    cuts = outside[np.clip(alarms - 1, 0, None)]
    hits = np.searchsorted(-inside, -cuts, "right")
    band = clopper_pearson_bounds(hits, attack.members, confidence=check.confidence)
    fpr = np.searchsorted(-outside, -cuts, "right") / attack.others
    table = pa.table(
        {
            "fpr": fpr,
            "tpr": hits / attack.members,
            "low": np.maximum(band.low, 1e-4),
            "high": band.high,
            "budget": np.minimum(fpr + budget, 1.0),
        }
    )
    axis = {"scale": "log", "low": float(first), "high": 1.0}
    return (
        Curve(
            id="roc",
            caption=f"What {attack.name} can tell apart, both axes logarithmic.",
            detail=f"Band: exact {check.confidence:.0%} bounds at each threshold. The axes start at 10 false alarms.",
            alt=(
                f"True-positive rate of {attack.name} against its false-positive rate: area {attack.auc:.3f}, "
                f"advantage {attack.advantage:.3f}."
            ),
            x=Axis(label="false-positive rate", **axis),
            y=Axis(label="true-positive rate", **axis),
            series=(
                Series(label=attack.name, x="fpr", y="tpr", low="low", high="high"),
                Series(label=f"budget {budget:g}", x="fpr", y="budget", style="reference"),
            ),
            diagonal="no leak",
        ),
        table,
    )


def _power(check: Membership, worst: Attacked, attacks: int, budget: float, points: int) -> tuple[Curve, pa.Table]:
    import numpy as np
    import pyarrow as pa

    true = np.linspace(0.0, max(2 * budget, 0.1, worst.advantage * 1.2), 121)
    passing = chance_of_pass(true, points, budget, confidence=check.confidence)
    passing = np.maximum(0.0, 1 - attacks * (1 - passing))
    failing = chance_of_fail(true, points, budget, confidence=check.confidence, attacks=attacks)
    open_ = np.maximum(passing, 1 - failing)
    marks = [Mark(axis="x", value=budget, label="budget", kind="threshold")]
    if 0 <= worst.advantage <= true[-1]:
        marks.append(Mark(axis="x", value=worst.advantage, label="observed", kind="observed"))
    return (
        Curve(
            id="power",
            caption=f"What {points:,} points a side can decide.",
            detail="The chance of each answer, if the leak were as large as the axis says; normal approximation.",
            alt=(
                f"Chance of pass, inconclusive and fail against the true advantage from 0 to {true[-1]:.2f}, "
                f"for a budget of {budget:g}."
            ),
            x=Axis(label="true advantage of the attack", low=0.0, high=float(true[-1])),
            y=Axis(label="chance", low=0.0, high=1.0),
            series=(
                Series(label="says pass", x="true", y="passes"),
                Series(label="inconclusive", x="true", y="undecided", style="second"),
                Series(label="says fail", x="true", y="fails", style="third"),
            ),
            marks=tuple(marks),
            stacked=True,
        ),
        pa.table({"true": true, "passes": passing, "undecided": open_, "fails": np.ones_like(true)}),
    )


def _table(attacks: list[Attacked]) -> tuple[Table, pa.Table]:
    import pyarrow as pa

    ranked = sorted(attacks, key=lambda attack: -attack.interval.high)
    table = pa.table(
        {
            "attack": [attack.name for attack in ranked],
            "advantage": [attack.advantage for attack in ranked],
            "low": [attack.interval.low for attack in ranked],
            "high": [attack.interval.high for attack in ranked],
            "auc": [attack.auc for attack in ranked],
            "tpr_at_1pct_fpr": pa.array(
                [attack.strict.value if attack.strict else None for attack in ranked], pa.float64()
            ),
        }
    )
    columns = (
        Column(name="attack", label="Attack"),
        Column(name="advantage", label="Advantage", format=".3f"),
        Column(name="low", label="from", format=".3f"),
        Column(name="high", label="to", format=".3f"),
        Column(name="auc", label="AUC", format=".3f"),
        Column(name="tpr_at_1pct_fpr", label="TPR at 1 % FPR", format=".3f"),
    )
    return Table(id="attacks", caption="Attacks, strongest first.", alt="", columns=columns), table
