"""What linear bounds say of the leads of some classes over others."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from auditor.methods.robustness.linear_bounds.relaxation import ENTRIES, Relaxation


def compared(wanted: Tensor, classes: int) -> Tensor:
    """Pairs of ranks (a, b), a < b, that some row's wanted set separates: a < k ≤ b. [pairs, 2]"""
    places = [size + 1 for size in wanted.any(0).nonzero().flatten().tolist()]
    pairs = sorted({(a, b) for k in places for a in range(k) for b in range(k, classes)})
    return torch.tensor(pairs, dtype=torch.int64, device=wanted.device).reshape(-1, 2)


def leads(relaxed: Relaxation, pairs: Tensor, orders: Tensor) -> Tensor:
    """Never above f_j − f_i over the region, of the classes at each pair of ranks [rows, pairs]; −∞ where unknown."""
    width = max(math.prod(step.node.output_shape) for step in relaxed.steps)
    found = [
        relaxed.least(len(relaxed.steps) - 1, differences(part, orders))
        for part in pairs.split(max(1, ENTRIES // (width * len(orders))))
    ]
    if not found:
        return torch.zeros(len(orders), 0, dtype=torch.float64, device=orders.device)
    return known(torch.cat(found, 1))


def differences(pairs: Tensor, orders: Tensor) -> Tensor:
    """e_j − e_i for the classes at each pair of ranks [rows, pairs, classes]."""
    made = torch.zeros(len(orders), len(pairs), orders.shape[1], dtype=torch.float64, device=orders.device)
    made.scatter_(2, orders[:, pairs[:, 0]][..., None], 1.0)
    return made.scatter_(2, orders[:, pairs[:, 1]][..., None], -1.0)


def known(bounds: Tensor) -> Tensor:
    """−∞ in place of whatever is no number."""
    return torch.where(bounds.isfinite(), bounds, -math.inf)


def by_size(found: Tensor, pairs: Tensor, wanted: Tensor) -> Tensor:
    """The least of the leads that each F^k needs [rows, sizes]."""
    sizes = []
    for place in range(wanted.shape[1]):
        k = place + 1
        separated = (pairs[:, 0] < k) & (pairs[:, 1] >= k)
        if bool(separated.any()):
            sizes.append(torch.where(wanted[:, place], found[:, separated].amin(1), -math.inf))
        else:
            sizes.append(torch.full_like(found.sum(1), -math.inf))
    return torch.stack(sizes, 1)
