"""The closed form of a certificate: the radius within which the highest classes of a row stay the highest.

r_k = min over j ∈ F^k, i ∉ F^k of (f_j − f_i)/K_ji, for all k up to `sizes` in one pass over [rows, sizes, classes].
Classes are taken as they come: only the leading ones are sorted, and their columns are looked at apart.
"""

from __future__ import annotations

import torch
from torch import Tensor

from auditor.methods.robustness.rounding import UNIT

HEADROOM = 1e-9
"""A margin must exceed K·ε·(1 + 1e-9): covers every rounding between margins and radii."""

SMALLEST = 1e-290
"""Margins and radii below this are taken for 0: there the relative accuracy is lost that the rest relies on."""

LARGEST = 2.0**1022
"""Rows with logits beyond this are not certified: their margins may overflow."""

SORTED = 64
"""Classes up to which it takes no longer to sort all of a row."""


def leading_classes(scores: Tensor, sizes: int) -> Tensor:
    """The `sizes` highest classes of each row in falling order, of equal ones the lowest first [rows, sizes].

    For scores of fewer than infinite magnitude. Few classes of many are picked; only rows that tie are sorted.
    """
    if scores.shape[1] <= max(SORTED, sizes + 1):
        return scores.argsort(dim=1, descending=True, stable=True)[:, :sizes]
    highest, leaders = scores.topk(sizes + 1, dim=1)
    tied = (highest[:, 1:] == highest[:, :-1]).any(1)
    leaders = leaders[:, :sizes]
    if bool(tied.any()):
        leaders = leaders.clone()
        leaders[tied] = scores[tied].argsort(dim=1, descending=True, stable=True)[:, :sizes]
    return leaders


def finite_scores(scores: Tensor) -> Tensor:
    """The scores with NaN and infinities replaced, so that they can be ordered."""
    return scores.nan_to_num(0.0, 0.0, 0.0)


def certified_radii(scores: Tensor, leaders: Tensor, constants: Tensor, error: Tensor) -> Tensor:
    """The certified radius of F^k for k = 1 … sizes [rows, sizes], 0 where nothing is certain.

    `scores` [rows, classes], float64, within `error` [rows] of the exact logits in the 2-norm; `leaders` [rows, sizes]
    their highest classes in falling order; `constants` [classes, classes].
    """
    rows, sizes = leaders.shape
    sound = (scores.abs() <= LARGEST).all(1) & error.isfinite()
    scores = finite_scores(scores)
    # Two logits of a row move by at most √2·error against each other; 4u of the margin cover the roundings here, and a
    # margin of no more than SMALLEST comes to nothing.
    lost = (1.4142135623730952 * error + SMALLEST)[:, None, None]
    constant = constants[leaders]
    margin = scores.gather(1, leaders)[:, :, None] - scores[:, None, :]
    quotient = margin.mul_(1 - 4 * UNIT).sub_(lost).div_(constant)
    places = leaders[:, None, :].expand(rows, sizes, sizes)
    among = quotient.gather(2, places)
    beyond = quotient.scatter_(2, places, torch.inf).amin(2, keepdim=True)
    # Entry [j, k − 1]: the least over the classes outside F^k, which gain the k-th as k falls by one.
    outside = torch.cat((among[:, :, 1:], beyond), 2).flip(2).cummin(2).values.flip(2)
    inside = torch.ones(sizes, sizes, dtype=torch.bool, device=scores.device).triu()
    radii = torch.where(inside, outside, torch.inf).amin(1) * (1 - 2 * HEADROOM)
    # Infinite only where no constant is positive: any other quotient that large has overflowed.
    still = constant.amax(2).cummax(1).values == 0
    radii = torch.where(still, radii, radii.clamp_max(torch.finfo(torch.float64).max))
    # NaN, from K = NaN or 0/0, is above nothing; K = ∞ makes 0.
    return torch.where(sound[:, None] & (radii > SMALLEST), radii, 0.0)


def possible_rivals(scores: Tensor, leaders: Tensor, constants: Tensor, error: Tensor, epsilon: float) -> Tensor:
    """Which classes may come to lead one of `leaders` within `epsilon` [rows, classes]; that no other can is proved.

    Arguments as of `certified_radii`. Every class may of a row that is not finite.
    """
    possible = ~(scores.isfinite().all(1) & error.isfinite())[:, None].expand_as(scores)
    reach = constants * (epsilon * (1 + 2 * HEADROOM))
    for leader in leaders.T:
        sure = (scores.gather(1, leader[:, None]) - scores) * (1 - 4 * UNIT) - 1.4142135623730952 * error[:, None]
        possible = possible | ~(sure > reach[leader] + SMALLEST)
    return possible.scatter(1, leaders, False)
