"""From membership scores to a finding: each attack's advantage with its interval, and the verdict over all of them.

A pass needs every attack's upper bound within the budget, uncorrected (an intersection–union test: the claim is that
all advantages are small). A fail needs some lower bound above it, corrected for the number of attacks (Bonferroni).
The interval shown is the worst attack's, from corrected lower to uncorrected upper bound; where another attack alone
makes the check fail, its lower bound is shown instead, so that interval and verdict agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from auditor.checks.common.conclude import conclude
from auditor.checks.privacy.membership_pictures import pictures
from auditor.records import EvidenceKind, Judgement
from auditor.statistics import Interval, TailRate, bonferroni, clopper_pearson, difference, reach, tail_rate

if TYPE_CHECKING:
    import numpy as np

    from auditor.checks.privacy.membership import Membership, Sides

RESAMPLES = 2000
STRICT = 0.01
"""The false-positive rate at which a true-positive rate is stated, from ten expected false positives on."""
KNOWS = {"naive": "predicted label", "loss": "confidence; threshold from half of the audited rows"}


class Attacked(NamedTuple):
    """What one attack achieved on `members` and `others` rows."""

    name: str
    true_positives: int
    false_positives: int
    members: int
    others: int
    advantage: float
    interval: Interval
    corrected_low: float
    auc: float
    auc_interval: Interval
    strict: TailRate | None

    @property
    def tpr(self) -> float:
        return self.true_positives / self.members

    @property
    def fpr(self) -> float:
        return self.false_positives / self.others


def membership_judgement(check: Membership, sides: Sides) -> Judgement:
    """All that is said about `sides`; without rows on either side nothing is decided."""
    import pyarrow as pa

    member = sides.member.numpy()
    inside, outside = int(member.sum()), int((~member).sum())
    points = pa.table(
        {
            "index": pa.array(sides.row.numpy(), pa.int64()),
            "member": pa.array(member, pa.bool_()),
            **{f"score_{name}": pa.array(score.numpy(), pa.float64()) for name, score in sides.scores.items()},
        }
    )
    budget = check.threshold.at_most
    assert budget is not None
    if not inside or not outside:
        return conclude(
            check,
            kind=EvidenceKind.ATTACKED,
            value=None,
            interval=None,
            n=outside,
            metrics={},
            summary=f"{inside} members and {outside} non-members: nothing to tell apart.",
            tables={"points": points},
            opens_when="the check has members and non-members",
        )
    attacks = [attack_on(check, name, sides) for name in check.attacks]
    worst = max(attacks, key=lambda attack: (attack.interval.high, attack.advantage))
    surest = max(attacks, key=lambda attack: attack.corrected_low)
    interval = Interval(
        surest.corrected_low if surest.corrected_low > budget else worst.corrected_low, worst.interval.high
    )
    if check.claim == "sample":
        worst = surest = max(attacks, key=lambda attack: attack.advantage)
        interval = Interval(worst.advantage, worst.advantage)
    points_a_side = min(inside, outside)
    able = reach(points_a_side, budget, confidence=check.confidence, attacks=len(attacks))
    drawn = pictures(check, sides, attacks, worst, budget=budget, points=points_a_side)
    metrics = {key: value for attack in attacks for key, value in _metrics(attack, check.confidence)} | {
        "worst_attack": worst.name
    }
    return conclude(
        check,
        kind=EvidenceKind.ATTACKED,
        value=worst.advantage,
        interval=interval,
        n=outside,
        metrics=metrics,
        summary=_summary(worst, surest, len(attacks), interval, budget),
        evidence=drawn.evidence,
        tables={"points": points, **drawn.tables},
        threat_model="; ".join(f"{name} knows {KNOWS[name]}" for name in check.attacks),
        rests_on=(
            f"{inside:,} members drawn at random from {check.members}, against {outside:,} rows of {check.over} that "
            "the model was not trained on, both from one distribution.",
            "No threshold was chosen on the rows it decided: two halves, each decided by the other's threshold.",
            "Score intervals of a difference of rates (Miettinen and Nurminen), each end at the stated confidence.",
        ),
        limits=(
            _proves(interval, budget, _listed(check.attacks), _found(able.fails)),
            "Attacks that train models of their own, or read the weights, were not tried.",
            "If members and non-members differ in kind, that difference is measured too.",
        ),
        opens_when=_opens(interval, budget),
        power=_power(able.passes, able.fails, points_a_side, len(attacks)),
    )


def attack_on(check: Membership, name: str, sides: Sides) -> Attacked:
    """One attack's rates, each row decided by a threshold it had no part in."""
    import torch

    from auditor.methods.privacy import cross_fitted

    scores, member = sides.scores[name], sides.member
    taken = scores >= 0.5 if name == "naive" else cross_fitted(scores, member, seed=check.seed)
    inside, outside = int(member.sum()), int((~member).sum())
    hits, alarms = int((taken & member).sum()), int((taken & ~member).sum())
    confidence = check.confidence
    interval = difference(hits, inside, alarms, outside, confidence=confidence)
    corrected = difference(hits, inside, alarms, outside, confidence=bonferroni(confidence, len(check.attacks)))
    auc, auc_interval = area(scores.numpy(), member.numpy(), confidence=confidence, seed=check.seed)
    caught = None
    if name != "naive":
        ranked = scores.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        caught = tail_rate(ranked[member].numpy(), ranked[~member].numpy(), tail=STRICT, confidence=confidence)
    return Attacked(
        name, hits, alarms, inside, outside, hits / inside - alarms / outside, interval, corrected.low, auc,
        auc_interval, caught,
    )  # fmt: skip


def area(scores: np.ndarray, member: np.ndarray, *, confidence: float, seed: int) -> tuple[float, Interval]:
    """The area under the ROC curve, ties counted half, with stratified bootstrap bounds.

    Where every resample would give the same area, bounds come from counts instead: of two values or one, the area is
    (1 + TPR - FPR)/2; full separation is so many independent pairs in order, with Clopper and Pearson's bound.
    """
    import numpy as np

    from auditor.statistics import percentile_interval, resampled

    scores = np.where(np.isnan(scores), -np.inf, scores)
    inside, outside = np.sort(scores[member]), np.sort(scores[~member])
    below = np.searchsorted(outside, inside, "left")
    upto = np.searchsorted(outside, inside, "right")

    def auc(weights: np.ndarray, others: np.ndarray) -> np.ndarray:
        mass = np.concatenate((np.zeros((len(others), 1)), np.cumsum(others, axis=1)), axis=1)
        worse = (mass[:, below] + mass[:, upto]) / 2
        return (weights * worse).sum(1) / (weights.sum(1) * others.sum(1))

    observed = float(auc(np.ones((1, len(inside))), np.ones((1, len(outside))))[0])
    top = scores.max()
    if len(np.unique(scores)) <= 2:
        hits, alarms = int((inside == top).sum()), int((outside == top).sum())
        apart = difference(hits, len(inside), alarms, len(outside), confidence=confidence)
        return observed, Interval((1 + apart.low) / 2, (1 + apart.high) / 2)
    if observed in (0.0, 1.0):
        pairs = min(len(inside), len(outside))
        return observed, clopper_pearson(int(observed) * pairs, pairs, confidence=confidence)
    replicates = resampled(auc, (len(inside), len(outside)), resamples=RESAMPLES, seed=seed)
    return observed, percentile_interval(replicates, low=confidence, high=confidence)


def _metrics(attack: Attacked, confidence: float) -> list[tuple[str, Any]]:
    """Keys `<attack>.<metric>` and `<attack>.<metric>_interval` of the contract."""
    name, low, high = attack.name, attack.interval.low, attack.interval.high
    precision, precise = precision_of(attack, confidence)
    strict = attack.strict
    pairs = (
        ("advantage", attack.advantage, (low, high)),
        ("accuracy", (1 + attack.advantage) / 2, ((1 + low) / 2, (1 + high) / 2)),
        ("precision", precision, tuple(precise)),
        ("auc", attack.auc, tuple(attack.auc_interval)),
        ("tpr_at_1pct_fpr", strict.value if strict else None, tuple(strict.interval) if strict else None),
    )
    out: list[tuple[str, Any]] = []
    for metric, value, interval in pairs:
        out += [
            (f"{name}.{metric}", value),
            (f"{name}.{metric}_interval", None if interval is None else list(interval)),
        ]
    return out


def precision_of(attack: Attacked, confidence: float) -> tuple[float, Interval]:
    """TPR/(TPR + FPR), ½ if no row is taken for a member, with exact bounds given how many rows were.

    This is the share of members among them had there been equally many on both sides.
    """
    taken = attack.true_positives + attack.false_positives

    def balanced(share: float) -> float:
        members, others = share / attack.members, (1 - share) / attack.others
        return members / (members + others)

    low, high = clopper_pearson(attack.true_positives, taken, confidence=confidence)
    value = balanced(attack.true_positives / taken) if taken else 0.5
    return value, Interval(balanced(low), balanced(high))


def _summary(worst: Attacked, surest: Attacked, attacks: int, interval: Interval, budget: float) -> str:
    which = "The attack" if attacks == 1 else f"The strongest of {attacks} attacks, {worst.name},"
    first = (
        f"{which} takes {worst.true_positives:,} of {worst.members:,} members and {worst.false_positives:,} of "
        f"{worst.others:,} non-members for members, an advantage of {worst.advantage:.3f}. "
    )
    if interval.high <= budget:
        return first + f"Its upper bound, {interval.high:.3f}, stays within the budget of {budget:g}."
    if interval.low > budget:
        whose = "Its" if surest is worst else "The"
        of = "" if surest is worst else f" of {surest.name}"
        return first + f"{whose} lower bound{of}, {interval.low:.3f}, exceeds the budget of {budget:g}."
    return first + f"The budget of {budget:g} lies inside [{interval.low:.3f}, {interval.high:.3f}]: not decided."


def _opens(interval: Interval, budget: float) -> str | None:
    if interval.high <= budget:
        return None
    return (
        f"every attack's upper bound falls to {budget:g}; the largest is {interval.high:.3f}. More rows narrow it, a "
        "smaller gap between training and test lowers it"
    )


def _power(passes: float | None, fails: float | None, points: int, attacks: int) -> str:
    one = "attack" if attacks == 1 else "attacks"
    able = "passes no model" if passes is None else f"passes a model whose true advantage is {passes:.3f} or less"
    worse = "fails none" if fails is None else f"fails one of {fails:.3f} or more"
    decides = f"this check {able}, and {worse}, each with probability at least 0.80"
    return f"With {points:,} points a side and {attacks} {one} {decides}."


def _proves(interval: Interval, budget: float, attacks: str, findable: str) -> str:
    if interval.low > budget:
        return (
            f"How much more could be told apart: {attacks} bound the leak from below, stronger attacks may find more."
        )
    shown = "found" if interval.high <= budget else "shown or ruled out"
    return (
        f"An attack that finds nothing proves nothing by itself: no leak above the budget was {shown} by {attacks}, "
        f"which could have found {findable}."
    )


def _found(fails: float | None) -> str:
    return "none reliably at this number of rows" if fails is None else f"one of {fails:.2f} in 4 of 5 cases"


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
