"""How far rows of different labels lie apart, and what that leaves for any classifier (thesis lemma 6.4).

Two rows at which a classifier is ε-locally robust with different answers are more than 2ε apart: otherwise their
midpoint, within ε of both, would get both answers. So of two rows within 2ε of each other whose labels no robust answer
can serve at once, at most one is certified and right, whatever the classifier. Rows paired off in this way give a
ceiling on verified-robust accuracy: one of each pair is lost.

The same midpoint decides the relaxed guarantees. There both rows' certified sets are sets of highest classes, so one
holds the other and with it both labels. An affinity guarantee rules that out unless one of its sets holds both; top-k
with k ≥ 2 never does, so pairs of rows cap nothing there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from auditor.methods.robustness.rounding import gamma
from auditor.tensors import Inputs, Labels
from auditor.terms import Affinity, Norm, Standard, TopK

BLOCK = 1024
CANDIDATES = 8
"""Nearest rows by the fast distance that are measured again exactly."""


class Nearest(NamedTuple):
    """For each row the nearest one of a conflicting label: distance, float64 [rows], never below the true one and above
    it by rounding alone; and that row's position, int64 [rows]; infinite and -1 where there is none.
    """

    distance: Tensor
    position: Tensor


class Pairs(NamedTuple):
    """Disjoint pairs of rows, nearest first: distance, float64 [pairs], and positions, int64 [pairs, 2]."""

    distance: Tensor
    positions: Tensor


def conflicting(guarantee: Standard | TopK | Affinity, classes: int) -> Tensor:
    """Which pairs of labels no single certified set may serve, bool [classes, classes], symmetric."""
    if isinstance(guarantee, TopK) and guarantee.k > 1:
        return torch.zeros(classes, classes, dtype=torch.bool)
    apart = ~torch.eye(classes, dtype=torch.bool)
    if isinstance(guarantee, Affinity):
        for members in guarantee.sets:
            inside = torch.zeros(classes, dtype=torch.bool)
            inside[list(members)] = True
            apart &= ~(inside[:, None] & inside[None, :])
    return apart


def nearest_conflicts(
    inputs: Inputs,
    labels: Labels,
    apart: Tensor,
    *,
    norm: Norm = "l2",
    block: int = BLOCK,
    progress: Callable[[int, int], None] | None = None,
) -> Nearest:
    """The nearest row of a conflicting label for each row, exact: `apart` [classes, classes] says which labels
    conflict.

    Distances of all pairs, `block`² at a time, by one matrix product in l2, find the candidates;
    these are measured in float64, and wherever the error of the fast distance could hide a nearer row, all rows are.
    `progress` is told the rows done and their number.
    """
    rows = len(labels)
    flat = inputs.flatten(1)
    # Distances do not move, and squares lose less.
    centred = flat.double() - flat.double().mean(0) if norm == "l2" else flat
    squares = centred.double().square().sum(1)
    apart = apart.to(labels.device)
    distance = torch.full((rows,), math.inf, dtype=torch.float64, device=flat.device)
    position = torch.full((rows,), -1, dtype=torch.int64, device=flat.device)
    for start in range(0, rows, block):
        mine = torch.arange(start, min(start + block, rows), device=flat.device)
        places, last = _candidates(centred, squares, labels, apart, mine, norm, block)
        known = apart[labels[mine]].gather(1, labels[places])
        exact = _distances(flat, mine, places, norm).masked_fill(~known, math.inf)
        found, chosen = exact.min(1)
        best = places.gather(1, chosen[:, None])[:, 0]
        for row in (_least(last, squares, mine, flat.shape[1], norm) < found).nonzero().flatten().tolist():
            others = apart[labels[mine[row]]][labels].nonzero().flatten()
            exact = _distances(flat, mine[row : row + 1], others[None], norm)[0]
            found[row], best[row] = exact.min(), others[exact.argmin()]
        distance[mine], position[mine] = found, torch.where(found.isfinite(), best, -1)
        if progress is not None:
            progress(int(mine[-1]) + 1, rows)
    return Nearest(distance * (1 + 2 * gamma(flat.shape[1] + 4)), position)


def _candidates(
    centred: Tensor, squares: Tensor, labels: Tensor, apart: Tensor, mine: Tensor, norm: Norm, block: int
) -> tuple[Tensor, Tensor]:
    """Positions [mine, candidates] of the nearest rows by the fast distance, and that of the last of them [mine]:
    infinite where no conflicting row was left out.
    """
    near = torch.empty((len(mine), 0), dtype=torch.float64, device=centred.device)
    places = torch.empty((len(mine), 0), dtype=torch.int64, device=centred.device)
    for start in range(0, len(labels), block):
        theirs = torch.arange(start, min(start + block, len(labels)), device=centred.device)
        if norm == "l2":
            fast = squares[mine, None] + squares[None, theirs] - 2 * centred[mine] @ centred[theirs].T
        else:
            fast = torch.cdist(centred[mine], centred[theirs], p=math.inf).double()
        fast = fast.masked_fill(~apart[labels[mine]][:, labels[theirs]], math.inf)
        near, chosen = torch.cat((near, fast), 1).topk(min(CANDIDATES, near.shape[1] + len(theirs)), largest=False)
        places = torch.cat((places, theirs.expand(len(mine), -1)), 1).gather(1, chosen)
    complete = near.shape[1] == len(labels)
    return places, torch.full_like(near[:, 0], math.inf) if complete else near.amax(1)


def _least(last: Tensor, squares: Tensor, mine: Tensor, features: int, norm: Norm) -> Tensor:
    """How near a row left out can be at least, `last` being the fast distance of the last candidate [mine].

    |a|² + |b|² − 2ab in float64 errs by at most γ_{n+4}(|a| + |b|)² ≤ 2γ_{n+4}(|a|² + |b|²), and centring moves a
    distance by 2u(|a| + |b|); a difference of inputs in float32 or float64 errs by a factor 1 ± 2⁻²⁴.
    """
    if norm == "linf":
        return last * (1 - 2.0**-22)
    return (last - 16 * gamma(features + 16) * (squares[mine] + squares.max())).clamp_min(0.0).sqrt()


def _distances(flat: Tensor, mine: Tensor, places: Tensor, norm: Norm) -> Tensor:
    """Distances in float64 [mine, candidates], one candidate of each row at a time."""
    rows = flat[mine].double()
    columns = []
    for column in places.T:
        difference = rows - flat[column].double()
        columns.append(difference.abs().amax(1) if norm == "linf" else difference.norm(dim=1))
    return torch.stack(columns, 1)


def disjoint_pairs(nearest: Nearest) -> Pairs:
    """Rows paired off with their nearest conflicts, nearest pairs first, each row in one pair at most.

    No classifier has more than one row of each pair within 2ε certified at ε and right, so as many rows are lost. That
    is never more than must be lost, and at least half of what these conflicts make inevitable.
    """
    taken: set[int] = set()
    kept: list[tuple[int, int]] = []
    other = nearest.position.tolist()
    for row in nearest.distance.argsort(stable=True).tolist():
        if other[row] >= 0 and row not in taken and other[row] not in taken:
            taken |= {row, other[row]}
            kept.append((row, other[row]))
    positions = torch.tensor(kept, dtype=torch.int64).reshape(-1, 2)
    return Pairs(nearest.distance.cpu()[positions[:, 0]], positions)
