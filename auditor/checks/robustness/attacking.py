"""The attack as an op that checks share, and its confrontation with certificates: a certified point must never flip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from auditor.checks.robustness.certifying import Refusal, plan_bounds
from auditor.checks.robustness.wording import assumed
from auditor.errors import AssumptionBroken, CertificateBroken
from auditor.plan.op import op
from auditor.spec.builder import Builder, Ref
from auditor.spec.rows import Rows, Where
from auditor.terms import Norm, Pgd

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.checks.robustness.certifying import CertifiedRows
    from auditor.methods.robustness import Bounds
    from auditor.methods.robustness.attacks import Adversarial

SWIFT_STEPS = 10
"""Steps of each of the two ascents at a row that is proved: they can never succeed, and only check on the proof."""

BATCH_ELEMENTS = 64 * 3 * 64 * 64
"""Input values attacked at once."""


def plan_attack(
    build: Builder, *, over: Rows, where: Where | None, attack: Pgd, norm: Norm, epsilon: float, seed: int, k: int = 1
) -> Ref[Adversarial]:
    """The attack on the k highest classes of the selected rows: one task however many checks ask for it."""
    elements = 1
    for size in build.input_shape:
        elements *= size
    return build.add(
        attack_rows,
        model=build.model(),
        bounds=plan_bounds(build, norm=norm),
        logits=build.logits(over, dtype="float64"),
        inputs=build.inputs(over),
        labels=build.labels(over),
        rows=build.selected(over, where),
        attack=attack,
        norm=norm,
        epsilon=epsilon,
        k=k,
        box=build.input_range,
        seed=seed,
        batch_size=min(1024, max(1, BATCH_ELEMENTS // elements)),
    )


@op(version=7, device=True)
def attack_rows(
    *,
    model: Any,
    bounds: Bounds | Refusal,
    logits: Tensor,
    inputs: Tensor,
    labels: Tensor,
    rows: Tensor,
    attack: Pgd,
    norm: Norm,
    epsilon: float,
    k: int,
    box: tuple[float, float] | None,
    seed: int,
    batch_size: int,
    device: str,
    progress: Callable[[int, int], None],
) -> Adversarial:
    """Attacks F^k of the selected rows whose label it holds; the others are lost already. One entry a selected row.

    The whole attack goes to rows whose F^k is not proved to keep within epsilon, two short ascents to the others.
    """
    from auditor.methods.robustness.attacks import pgd, top_set

    scores = logits[rows]
    worth = top_set(scores, k).gather(1, labels[rows, None])[:, 0]
    rivals = _rivals(scores, inputs[rows], bounds, epsilon, k)
    proved = ~rivals.any(1)
    swift = replace(attack, steps=min(attack.steps, SWIFT_STEPS), restarts=1, targets=min(attack.targets, 1))
    open_rows, proved_rows = (worth & ~proved).nonzero().flatten(), (worth & proved).nonzero().flatten()
    hits, done = [], 0
    for chosen, effort in ((open_rows, attack), (proved_rows, swift)):
        hits.append(
            pgd(
                model,
                inputs[rows[chosen]].to(device),
                epsilon=epsilon,
                norm=norm,
                k=k,
                steps=effort.steps,
                restarts=effort.restarts,
                targets=effort.targets,
                step=effort.step,
                box=box,
                seed=seed,
                rows=rows[chosen],
                rivals=rivals[chosen] if effort is attack else None,
                batch_size=batch_size,
                progress=_counted(progress, done, len(chosen), int(worth.sum())),
            )
        )
        done += len(chosen)
    return _gathered((open_rows, proved_rows), hits, scores, inputs[rows])


def _rivals(scores: Tensor, inputs: Tensor, bounds: Bounds | Refusal, epsilon: float, k: int) -> Tensor:
    """Which classes may enter F^k of each row within epsilon [rows, classes]: a row without any is proved."""
    import torch

    from auditor.methods.robustness.radii import finite_scores, leading_classes, possible_rivals

    if isinstance(bounds, Refusal) or bounds.assumed:
        # A user's word spares nothing: the attack is what may refute it.
        return torch.ones(scores.shape, dtype=torch.bool)
    error = bounds.error.at(inputs.flatten(1).double().norm(dim=1))
    leaders = leading_classes(finite_scores(scores), k)
    return possible_rivals(scores, leaders, bounds.margins, error, epsilon)


def _counted(progress: Callable[[int, int], None], before: int, count: int, total: int) -> Callable[[int, int], None]:
    """Progress through `count` of `total` rows, `before` of them done, from what an attack on these reports."""

    def report(done: int, whole: int) -> None:
        progress(before + count * done // whole, total)

    return report


def _gathered(chosen: tuple[Tensor, ...], hits: list[Adversarial], scores: Tensor, inputs: Tensor) -> Adversarial:
    """What attacks on some of the rows found, as one entry a row, with the points in the order of rows."""
    import torch

    from auditor.methods.robustness.attacks import Adversarial

    found = torch.zeros(len(scores), dtype=torch.bool)
    distance = torch.full((len(scores),), torch.inf, dtype=torch.float64)
    predicted, points = scores.argmax(1), inputs.clone()
    for rows, hit in zip(chosen, hits, strict=True):
        found[rows], distance[rows], predicted[rows] = hit.found, hit.distance, hit.predicted
        points[rows[hit.found]] = hit.points
    return Adversarial(found, distance, predicted, points[found])


@op(version=2)
def confront(
    *,
    certified: CertifiedRows,
    attacks: tuple[Adversarial, ...],
    inputs: Tensor,
    rows: Tensor,
    index: Tensor,
    bounds: Bounds,
) -> Tensor:
    """The smallest radius at which each row is known to break its guarantee [rows], float64; 0 lost already, infinite
    if no attack succeeded.

    `attacks[k - 1]` went for F^k. A row is broken once every admissible F^k that holds its label has been changed.
    Raises CertificateBroken, which carries the witness, if an attack succeeded within a certified radius; where that
    rests on constants that the user vouched for AssumptionBroken.
    """
    import torch

    broken_at = torch.zeros(len(rows), dtype=torch.float64)
    for size, attack in enumerate(attacks, start=1):
        flipped = (attack.found & (attack.distance <= certified.certificates.radii[:, size - 1])).nonzero().flatten()
        if len(flipped):
            _stop(int(flipped[0]), size, certified, attack, inputs, rows, index, bounds)
        holds = certified.certificates.admissible[:, size - 1] & (certified.rank < size)
        broken_at = torch.where(holds, torch.maximum(broken_at, attack.distance), broken_at)
    return broken_at


def refute_assumed(bounds: Bounds, found: str) -> None:
    """Raises AssumptionBroken where what contradicts a bound may be due to the user's word."""
    if bounds.assumed:
        raise AssumptionBroken(
            f"{found}. That rests on {'; '.join(assumed(bounds.assumed))}",
            remedy="state a constant that is true under model.assumed, or name `method: smoothing` in the check",
        )


def _stop(
    row: int,
    size: int,
    certified: CertifiedRows,
    attack: Adversarial,
    inputs: Tensor,
    rows: Tensor,
    index: Tensor,
    bounds: Bounds,
) -> None:
    number = int(index[rows[row]])
    point = attack.points[int(attack.found[:row].sum())]
    radius, distance = float(certified.certificates.radii[row, size - 1]), float(attack.distance[row])
    found = (
        f"row {number}: the {size} highest classes are certified up to {radius:.6g}, yet change at distance "
        f"{distance:.6g}"
    )
    refute_assumed(bounds, found)
    raise CertificateBroken(
        found,
        witness={"input": inputs[rows[row]].cpu().numpy(), "adversarial": point.cpu().numpy()},
        remedy="this is a mistake in auditor: report it with the witness, and use no certificate of this run",
    )
