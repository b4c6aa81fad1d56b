"""GloRo objectives: the ⊥ logit (thesis eqs. 6.2, 7.1, 7.3, with the constants of A.1) and the losses built on it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from auditor.methods.robustness.set_margins import SetMargins
from auditor.tensors import Labels, Logits


def bottom_logit(logits: Logits, margins: SetMargins) -> Tensor:
    """y_⊥ = max_i f_i − m, m the largest margin that any admitted set has left within ε. Shape [batch].

    It lies above every logit exactly where m < 0: where the guarantee is not certified. Under the standard guarantee it
    is max over i ≠ j of f_i + ε·K_ji, in value and in gradient (eq. 6.2).

    Thesis 7.2, note 2, holds max_i f_i of eqs. 7.1 and 7.3 constant. We do not: the loss would then fall without end as
    all logits rise together, and a wrong leader would be held up. Trained so, digits under RT3 at ε 0.5 end at 0.04 VRA
    with logits of 10⁵, with the whole gradient at 0.58 (and with the mean of the logits taken out of the constant, at
    0.42 and still growing). The model classes that the thesis's authors released do not hold it constant either.
    """
    return logits.gather(1, margins.order[:, :1])[:, 0] - margins.left.amax(1)


def verified(margins: SetMargins, labels: Labels) -> Tensor:
    """Whether the loosest set that keeps its classes within ε holds the label, bool [batch] (thesis 7.4.1).

    As sure as the constants behind `margins`: with estimated ones an estimate.
    """
    places = torch.arange(1, margins.left.shape[1] + 1, device=labels.device)
    size = ((margins.left > 0) * places).amax(1)
    return ((margins.order == labels[:, None]).int().argmax(1) < size).detach()


def gloro_cross_entropy(logits: Logits, labels: Labels, bottom: Tensor) -> Tensor:
    """Mean cross-entropy of [f, y_⊥] with ⊥ never the right answer (thesis 6.3.1)."""
    return functional.cross_entropy(torch.cat((logits, bottom[:, None]), dim=1), labels)


def gloro_trades(logits: Logits, labels: Labels, bottom: Tensor, weight: float) -> Tensor:
    """Cross-entropy of f plus `weight` times −log(1 − p_⊥), both as means over the batch (thesis def. 6.2).

    The thesis prints D_KL(f̄ ‖ f), which is infinite because f gives ⊥ no mass; read the other way round it is
    KL(softmax f ⊕ 0 ‖ softmax f̄) = −log(1 − p_⊥) = log(Σᵢ e^{fᵢ} + e^{y_⊥}) − log Σᵢ e^{fᵢ}.
    """
    total = torch.logsumexp(logits, dim=1)
    return functional.cross_entropy(logits, labels) + weight * functional.softplus(bottom - total).mean()
