"""The attack as an op that checks share, and its confrontation with certificates: a certified point must never flip."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from auditor.errors import CertificateBroken
from auditor.plan.op import op
from auditor.spec.builder import Builder, Ref
from auditor.spec.rows import Rows, Where
from auditor.terms import Norm, Pgd

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.checks.robustness.certifying import CertifiedRows
    from auditor.methods.robustness.attacks import Adversarial

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


@op(version=1, device=True)
def attack_rows(
    *,
    model: Any,
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
    """Attacks F^k of the selected rows whose label it holds; the others are lost already. One entry a selected row."""
    import torch

    from auditor.methods.robustness.attacks import Adversarial, pgd, top_set

    scores = logits[rows]
    worth = top_set(scores, k).gather(1, labels[rows, None])[:, 0]
    targets = rows[worth]
    hit = pgd(
        model,
        inputs[targets].to(device),
        epsilon=epsilon,
        norm=norm,
        k=k,
        steps=attack.steps,
        restarts=attack.restarts,
        step=attack.step,
        box=box,
        seed=seed,
        rows=targets,
        batch_size=batch_size,
        progress=progress,
    )
    found = torch.zeros(len(rows), dtype=torch.bool)
    distance = torch.full((len(rows),), torch.inf, dtype=torch.float64)
    predicted = scores.argmax(1)
    found[worth], distance[worth], predicted[worth] = hit.found, hit.distance, hit.predicted
    return Adversarial(found, distance, predicted, hit.points)


@op(version=1)
def confront(
    *, certified: CertifiedRows, attacks: tuple[Adversarial, ...], inputs: Tensor, rows: Tensor, index: Tensor
) -> Tensor:
    """The smallest radius at which each row is known to break its guarantee [rows], float64; 0 lost already, infinite
    if no attack succeeded.

    `attacks[k - 1]` went for F^k. A row is broken once every admissible F^k that holds its label has been changed.
    Raises CertificateBroken, which carries the witness, if an attack succeeded within a certified radius.
    """
    import torch

    broken_at = torch.zeros(len(rows), dtype=torch.float64)
    for size, attack in enumerate(attacks, start=1):
        flipped = (attack.found & (attack.distance <= certified.certificates.radii[:, size - 1])).nonzero().flatten()
        if len(flipped):
            _stop(int(flipped[0]), size, certified, attack, inputs, rows, index)
        holds = certified.certificates.admissible[:, size - 1] & (certified.rank < size)
        broken_at = torch.where(holds, torch.maximum(broken_at, attack.distance), broken_at)
    return broken_at


def _stop(
    row: int, size: int, certified: CertifiedRows, attack: Adversarial, inputs: Tensor, rows: Tensor, index: Tensor
) -> None:
    number = int(index[rows[row]])
    point = attack.points[int(attack.found[:row].sum())]
    radius, distance = float(certified.certificates.radii[row, size - 1]), float(attack.distance[row])
    raise CertificateBroken(
        f"row {number}: the {size} highest classes are certified up to {radius:.6g}, yet change at distance "
        f"{distance:.6g}",
        witness={"input": inputs[rows[row]].cpu().numpy(), "adversarial": point.cpu().numpy()},
        remedy="this is a mistake in auditor: report it with the witness, and use no certificate of this run",
    )
