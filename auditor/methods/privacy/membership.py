"""Membership inference (thesis 8.1.1): scores that should be higher on training rows, and what is decided by them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from auditor.tensors import Labels, Logits


def naive_scores(logits: Logits, labels: Labels) -> Tensor:
    """1 where the prediction is the label, else 0, float64 [batch]: a correct row is taken for a member.

    The advantage of this attack is the generalisation gap (Yeom et al. 2018).
    """
    return (logits.argmax(dim=1) == labels).double()


def loss_scores(logits: Logits, labels: Labels) -> Tensor:
    """log p(label), float64 [batch]: the lower the loss, the likelier a member."""
    return -functional.cross_entropy(logits.double(), labels, reduction="none")


SCORES = {"naive": naive_scores, "loss": loss_scores}


class Decisions(NamedTuple):
    """Which rows an attack takes for members, bool [rows], each decided by a threshold that the row had no part in."""

    best: Tensor
    at_1pct_fpr: Tensor


def cross_fitted(scores: Tensor, member: Tensor, *, seed: int) -> Decisions:
    """Thresholds from one half of the rows, applied to the other, and the other way round.

    `best` maximises TPR − FPR on the fitting half; `at_1pct_fpr` is the 99th percentile of its non-members. Halves are
    drawn by `seed`, members and non-members apart. Scores of NaN are never taken for members.
    """
    generator = torch.Generator().manual_seed(seed)
    fold = torch.zeros(len(scores), dtype=torch.int64)
    for side in (member, ~member):
        rows = side.nonzero().flatten()
        fold[rows[torch.randperm(len(rows), generator=generator)[: len(rows) // 2]]] = 1
    best = torch.zeros(len(scores), dtype=torch.bool)
    strict = torch.zeros(len(scores), dtype=torch.bool)
    for apply in (0, 1):
        fitting, applied = fold != apply, fold == apply
        best[applied] = scores[applied] >= _best_threshold(scores[fitting], member[fitting])
        outside = scores[fitting & ~member].nan_to_num(-torch.inf)
        limit = outside.quantile(0.99, interpolation="higher") if len(outside) else torch.inf
        strict[applied] = scores[applied] > limit
    return Decisions(best, strict)


def _best_threshold(scores: Tensor, member: Tensor) -> float:
    """A threshold t for which `scores >= t` has the largest TPR − FPR: midway between two scores."""
    candidates, order = scores.nan_to_num(-torch.inf).sort(descending=True)
    if not len(candidates):
        return torch.inf
    inside = member[order].double()
    tpr = inside.cumsum(0) / inside.sum().clamp_min(1)
    fpr = (1 - inside).cumsum(0) / (1 - inside).sum().clamp_min(1)
    # Equal scores are told apart by no threshold: only the last of them is a possible cut.
    last = torch.ones(len(candidates), dtype=torch.bool)
    last[:-1] = candidates[1:] < candidates[:-1]
    gain = torch.where(last, tpr - fpr, -torch.inf)
    chosen = int(gain.argmax())
    cut = float(candidates[chosen])
    following = float(candidates[chosen + 1]) if chosen + 1 < len(candidates) else -torch.inf
    return (cut + following) / 2 if following > -torch.inf else cut
