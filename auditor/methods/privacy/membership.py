"""Membership inference (thesis 8.1.1): scores that should be higher on training rows, and what is decided by them."""

from __future__ import annotations

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
    """log p/(1 - p) of the label, float64 [batch]: the lower the loss, the likelier a member.

    It ranks rows as the loss -log p does, and still tells apart the rows of an overfitted model, whose p rounds to 1.
    """
    own = functional.one_hot(labels, logits.shape[1]).bool()
    others = logits.double().masked_fill(own, -torch.inf).logsumexp(dim=1)
    return logits.double()[own] - others


SCORES = {"naive": naive_scores, "loss": loss_scores}


def cross_fitted(scores: Tensor, member: Tensor, *, seed: int) -> Tensor:
    """Which rows an attack takes for members, bool [rows], each decided by a threshold that it had no part in.

    The threshold of largest TPR − FPR on one half of the rows is applied to the other, and the other way round. Halves
    are drawn by `seed`, members and non-members apart. Scores of NaN are never taken for members.
    """
    generator = torch.Generator().manual_seed(seed)
    fold = torch.zeros(len(scores), dtype=torch.int64)
    for side in (member, ~member):
        rows = side.nonzero().flatten()
        fold[rows[torch.randperm(len(rows), generator=generator)[: len(rows) // 2]]] = 1
    taken = torch.zeros(len(scores), dtype=torch.bool)
    for apply in (0, 1):
        fitting, applied = fold != apply, fold == apply
        taken[applied] = scores[applied] >= _best_threshold(scores[fitting], member[fitting])
    return taken


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
