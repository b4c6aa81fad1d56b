"""Certificates of two kinds together: radii from a network's constant, raised where a proof of its own says more."""

from __future__ import annotations

import torch
from torch import Tensor

from auditor.methods.robustness.certificates import Certificates


def raised(certificates: Certificates, held: Tensor, order: Tensor, rank: Tensor, epsilon: float) -> Certificates:
    """`certificates` with a radius of at least `epsilon` for each admissible F^k that is proved to keep within it.

    `held` [rows, sizes]: what is proved; `order` [rows, classes]: classes by falling logit; `rank` [rows]: how many of
    them precede the label. Both kinds are theorems about the same sets, so the larger radius holds.
    """
    sizes = certificates.radii.shape[1]
    held = held & certificates.admissible
    radii = torch.where(held, certificates.radii.clamp_min(epsilon), certificates.radii)
    places = torch.arange(1, sizes + 1, device=radii.device)
    k = (((radii >= epsilon) & (radii > 0)) * places).amax(1)
    robust = torch.zeros_like(certificates.robust_set)
    robust.scatter_(1, order[:, :sizes], places <= k[:, None])
    vra_radius = torch.where(rank[:, None] < places, radii, 0.0).amax(1)
    return Certificates(k > 0, radii.amax(1), k, robust, vra_radius, radii, certificates.admissible)
