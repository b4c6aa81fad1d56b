"""The op behind a ceiling on VRA: pairs of rows that no classifier can both have certified and right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from auditor.plan.op import op
from auditor.terms import Affinity, Norm, Standard, TopK

if TYPE_CHECKING:
    from torch import Tensor

SHOWN = 3


class Conflicts(NamedTuple):
    """Disjoint pairs of selected rows with conflicting labels, nearest first (`methods.robustness.separation`).

    `distance` [pairs], `positions` [pairs, 2] among the selected rows, `inputs` of the nearest pairs [shown, 2,
    *input]. `bounding`: whether the guarantee lets pairs of rows cap anything.
    """

    distance: Tensor
    positions: Tensor
    inputs: Tensor
    bounding: bool

    def within(self, epsilon: float) -> int:
        """How many pairs lie within 2 · `epsilon`: as many rows are lost to any classifier."""
        return int((self.distance <= 2 * epsilon).sum())

    def ceiling(self, epsilon: float, rows: int) -> float | None:
        """The largest VRA that any classifier could have at `epsilon` on these rows, or more; None if unknown."""
        return 1 - self.within(epsilon) / rows if rows and self.bounding else None


@op(version=2, device=True)
def pair_conflicts(
    *,
    inputs: Tensor,
    labels: Tensor,
    rows: Tensor,
    norm: Norm,
    guarantee: Standard | TopK | Affinity,
    classes: int,
    device: str,
    progress: Callable[[int, int], None],
) -> Conflicts:
    """Every selected row with the nearest one of a conflicting label, paired off. Asks for no model and no radius."""
    from auditor.methods.robustness.separation import Nearest, conflicting, disjoint_pairs, nearest_conflicts

    apart = conflicting(guarantee, classes)
    chosen = inputs[rows]
    found = nearest_conflicts(
        chosen.to(device), labels[rows].to(device), apart.to(device), norm=norm, progress=progress
    )
    pairs = disjoint_pairs(Nearest(*(part.cpu() for part in found)))
    return Conflicts(pairs.distance, pairs.positions, chosen[pairs.positions[:SHOWN]], bool(apart.any()))
