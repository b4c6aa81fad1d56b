"""Certified radii from logits and margin constants, in closed form (thesis 5.3, 6.1, A.1; algorithms 7.1 and 7.2).

Let F^k be the k highest classes. If every class of F^k leads every other class i by more than K_ji·r, no input within
r has another F^k. So r_k = min over j ∈ F^k, i ∉ F^k of (f_j − f_i)/K_ji is a certified radius of F^k, and each
guarantee takes a maximum over its own k: standard k = 1; top-k all k up to K; affinity those k with F^k inside one
affinity set. The F^k are nested, so the loosest certified set at a radius is that of the largest k. Guarantees are
read as ∃k ∀x′, which is what the algorithms prove (definition 7.2 prints ∀x′ ∃k).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from auditor.methods.robustness.radii import certified_radii, finite_scores, leading_classes
from auditor.tensors import Labels, Logits, MarginConstants
from auditor.terms import Affinity, Standard, TopK

BITS = 32
"""Sets that one word of a bit map stands for."""

PAIRS = 1 << 19
"""Entries of [rows, k, classes] held at once: 4 MiB a tensor, which stay in a processor's cache."""

MANY_PAIRS = 1 << 24
"""The same on other devices."""


class Certificates(NamedTuple):
    """One entry a row. Radii are in the norm and units of K.

    `radius`: the largest certified radius, never larger than the true robust radius, 0 if there is none. `certified`:
    whether it reaches ε. `k`: size of the loosest set certified at ε, 0 if none; `robust_set` [rows, classes]: that
    set as a mask. `vra_radius`: the largest radius at which the loosest certified set holds the label, where labels
    are given. `radii` [rows, sizes]: the certified radius of each F^k, 0 where the guarantee does not admit it;
    `admissible` says where it does.
    """

    certified: Tensor
    radius: Tensor
    k: Tensor
    robust_set: Tensor
    vra_radius: Tensor | None
    radii: Tensor
    admissible: Tensor


def certify(
    logits: Logits,
    margin_constants: MarginConstants,
    epsilon: float,
    guarantee: Standard | TopK | Affinity = Standard(),  # noqa: B008
    *,
    labels: Labels | None = None,
    logits_error: Tensor | float | None = None,
    within: float = math.inf,
) -> Certificates:
    """Which rows keep `guarantee` under every perturbation of norm up to `epsilon`, and how far each can be
    certified.

    `margin_constants` [classes, classes], float64, as `margin_bounds` gives them. `logits` [rows, classes] are
    float64 and taken as exact, or `logits_error` says how far each row may lie from the exact logits in the 2-norm
    (`EvaluationError.at`), and no radius exceeds `within`, the distance up to which that was said
    (`EvaluationError.within`). Classes are ordered by logit, and a tie, NaN or infinity in a row leaves it uncertified.
    Raises ValueError for logits below float64 without `logits_error`, for shapes that do not fit, and for a guarantee
    that holds every class.
    """
    classes = logits.shape[1]
    _check(logits, margin_constants, epsilon, guarantee, logits_error)
    error = torch.as_tensor(0.0 if logits_error is None else logits_error, dtype=torch.float64, device=logits.device)
    error, constants = error.expand(len(logits)), margin_constants.to(logits.device)
    batch = max(
        1, (PAIRS if logits.device.type == "cpu" else MANY_PAIRS) // (largest_set(guarantee, classes) * classes)
    )
    found: list[Tensor | None] = []
    for start in range(0, max(1, len(logits)), batch):
        rows = slice(start, start + batch)
        own = None if labels is None else labels[rows]
        part = _certified(logits[rows].detach().double(), constants, epsilon, guarantee, own, error[rows], within)
        if len(logits) <= batch:
            return Certificates(*part)
        if not found:
            # Filled in place: small results kept between large temporaries would leave memory in shreds.
            found = [None if each is None else each.new_empty(len(logits), *each.shape[1:]) for each in part]
        for whole, each in zip(found, part, strict=True):
            if whole is not None and each is not None:
                whole[rows] = each
    return Certificates(*found)  # pyright: ignore[reportArgumentType]


def _certified(
    scores: Tensor,
    constants: Tensor,
    epsilon: float,
    guarantee: Standard | TopK | Affinity,
    labels: Tensor | None,
    error: Tensor,
    within: float,
) -> Certificates:
    """Of a few rows: what lies between takes [rows, k, classes]."""
    classes = scores.shape[1]
    sizes = largest_set(guarantee, classes)
    leaders = leading_classes(finite_scores(scores), sizes)
    admissible = admissible_sets(leaders, guarantee, classes)
    radii = certified_radii(scores, leaders, constants, error).masked_fill(~admissible, 0.0).clamp_max(within)
    return concluded(radii, admissible, leaders, classes, epsilon, labels)


def concluded(
    radii: Tensor, admissible: Tensor, leaders: Tensor, classes: int, epsilon: float, labels: Tensor | None
) -> Certificates:
    """What follows from the radii of the sets F^k [rows, sizes], 0 where one is not admitted; `leaders` [rows, sizes]
    are the classes in the order in which the sets take them in.
    """
    held = (radii >= epsilon) & (radii > 0)
    places = torch.arange(1, radii.shape[1] + 1, device=radii.device)
    k = (held * places).amax(1)
    robust = torch.zeros(len(radii), classes, dtype=torch.bool, device=radii.device)
    robust.scatter_(1, leaders, places <= k[:, None])
    vra_radius = None
    if labels is not None:
        holds = (leaders == labels.to(leaders.device)[:, None]).cummax(1).values
        vra_radius = torch.where(holds, radii, 0.0).amax(1)
    return Certificates(k > 0, radii.amax(1), k, robust, vra_radius, radii, admissible)


def _check(
    logits: Tensor,
    constants: Tensor,
    epsilon: float,
    guarantee: Standard | TopK | Affinity,
    error: Tensor | float | None,
) -> None:
    classes = logits.shape[1]
    if logits.dtype != torch.float64 and error is None:
        raise ValueError(f"logits are {logits.dtype}: evaluate the model in float64, or state logits_error")
    if constants.shape != (classes, classes) or constants.dtype != torch.float64:
        raise ValueError(
            f"margin constants are {constants.dtype} {tuple(constants.shape)}, expected float64 {(classes,) * 2}"
        )
    if not epsilon >= 0:
        raise ValueError(f"epsilon is {epsilon}, expected a radius of at least 0")
    if largest_set(guarantee, classes) >= classes:
        raise ValueError(f"{guarantee} admits the set of all {classes} classes, which never changes")


def largest_set(guarantee: Standard | TopK | Affinity, classes: int) -> int:
    """The largest k that the guarantee may certify."""
    if isinstance(guarantee, TopK):
        return guarantee.k
    if isinstance(guarantee, Affinity):
        return max([1, *(len(set(members)) for members in guarantee.sets)])
    return 1


def admissible_sets(leaders: Tensor, guarantee: Standard | TopK | Affinity, classes: int) -> Tensor:
    """Which F^k the guarantee accepts, for the highest of `classes` classes in falling order [rows, sizes]: for
    affinity those within one set, single classes always.
    """
    accepted = torch.ones_like(leaders, dtype=torch.bool)
    if isinstance(guarantee, Affinity):
        holders = _holders(tuple(map(tuple, guarantee.sets)), classes, leaders.device)
        common = holders[leaders[:, 0]]
        for place in range(1, leaders.shape[1]):
            common = common & holders[leaders[:, place]]
            accepted[:, place] = common.any(1)
    return accepted


@lru_cache(maxsize=8)
def _holders(sets: tuple[tuple[int, ...], ...], classes: int, device: torch.device) -> Tensor:
    """The sets that hold each class as a bit map, int64 [classes, words]: bit b of word w is set BITS·w + b."""
    words = [[0] * max(1, -(-len(sets) // BITS)) for _ in range(classes)]
    for number, members in enumerate(sets):
        for member in members:
            words[member][number // BITS] |= 1 << number % BITS
    return torch.tensor(words, dtype=torch.int64, device=device)
