"""GloRo objectives: the ⊥ logit (thesis eq. 6.2 with the margin constants of A.1) and the losses built on it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from auditor.tensors import Labels, Logits, MarginConstants


def bottom_logit(logits: Logits, constants: MarginConstants, epsilon: float) -> Tensor:
    """y_⊥ = max over i ≠ j of f_i + ε·K_ji, j the predicted class: the best a rival reaches within ε. Shape [batch]."""
    predicted = logits.argmax(dim=1)
    rivals = logits + epsilon * constants[predicted]
    return rivals.scatter(1, predicted[:, None], -torch.inf).amax(dim=1)


def gloro_cross_entropy(logits: Logits, labels: Labels, constants: MarginConstants, epsilon: float) -> Tensor:
    """Mean cross-entropy of [f, y_⊥] with ⊥ never the right answer (thesis 6.3.1)."""
    extended = torch.cat((logits, bottom_logit(logits, constants, epsilon)[:, None]), dim=1)
    return functional.cross_entropy(extended, labels)


def gloro_trades(logits: Logits, labels: Labels, constants: MarginConstants, epsilon: float, weight: float) -> Tensor:
    """Cross-entropy of f plus `weight` times −log(1 − p_⊥), both as means over the batch (thesis def. 6.2).

    The thesis prints D_KL(f̄ ‖ f), which is infinite because f gives ⊥ no mass; read the other way round it is
    KL(softmax f ⊕ 0 ‖ softmax f̄) = −log(1 − p_⊥) = log(Σᵢ e^{fᵢ} + e^{y_⊥}) − log Σᵢ e^{fᵢ}.
    """
    total = torch.logsumexp(logits, dim=1)
    bottom = bottom_logit(logits, constants, epsilon)
    return functional.cross_entropy(logits, labels) + weight * functional.softplus(bottom - total).mean()
