"""Certificates of two kinds together: radii from a network's constant, raised where a proof of its own says more."""

from __future__ import annotations

import torch
from torch import Tensor

from auditor.methods.robustness.certificates import Certificates, concluded


def raised(
    certificates: Certificates, held: Tensor, order: Tensor, epsilon: float, *, labels: Tensor | None = None
) -> Certificates:
    """`certificates` with a radius of at least `epsilon` for each admissible F^k that is proved to keep within it.

    `held` [rows, sizes]: what is proved; `order` [rows, classes]: classes by falling logit. Both kinds are theorems
    about the same sets, so the larger radius holds.
    """
    admissible = certificates.admissible
    radii = torch.where(held & admissible, certificates.radii.clamp_min(epsilon), certificates.radii)
    return concluded(radii, admissible, order[:, : radii.shape[1]], order.shape[1], epsilon, labels)
