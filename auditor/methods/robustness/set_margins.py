"""By how much the leading classes stay ahead of all others within a radius (thesis 6.1, 7.2, 7.3; algorithms 7.1, 7.2).

Differentiable, so that training maximises what deployment decides by.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from auditor.methods.robustness.certificates import admissible_sets, largest_set
from auditor.tensors import Logits, MarginConstants
from auditor.terms import Affinity, Standard, TopK


class SetMargins(NamedTuple):
    """`order` [batch, classes]: classes by falling logit, of equal ones the lowest first. `left` [batch, sizes]: m^k,
    the least lead of a class of F^k over one outside that remains within the radius, −∞ where F^k is not admitted.
    """

    order: Tensor
    left: Tensor


def set_margins(
    logits: Logits, constants: MarginConstants, epsilon: float | Tensor, guarantee: Standard | TopK | Affinity
) -> SetMargins:
    """m^k = min over j ∈ F^k, i ∉ F^k of f_j − f_i − ε·K_ji, for k = 1 … the largest set that `guarantee` admits.

    F^k keeps its classes within ε wherever m^k > 0. One sort and one pass over [batch, sizes, classes]. Raises
    ValueError for a guarantee that holds every class: that set never changes.
    """
    classes = logits.shape[1]
    sizes = largest_set(guarantee, classes)
    if sizes >= classes:
        raise ValueError(f"{guarantee} admits the set of all {classes} classes, which never changes")
    order = logits.detach().argsort(dim=1, descending=True, stable=True)
    ranked, leaders = logits.gather(1, order), order[:, :sizes]
    reach = epsilon * constants[leaders[:, :, None], order[:, None, :]]
    lead = ranked[:, :sizes, None] - ranked[:, None, :] - reach
    # Over the classes from rank k on, which gain one as k falls by one.
    least = lead[:, :, sizes:].amin(2)
    left = [least.amin(1)]
    for size in range(sizes - 1, 0, -1):
        least = torch.minimum(least, lead[:, :, size])
        left.append(least[:, :size].amin(1))
    admitted = admissible_sets(leaders, guarantee, classes)
    return SetMargins(order, torch.stack(left[::-1], 1).masked_fill(~admitted, -torch.inf))
