"""Phases of a ring's frequencies, from a table of roots of unity with a proved error."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from auditor.methods.robustness.rounding import UNIT, complex_gamma

ROOT_ERROR = 8 * UNIT
"""|computed − exact| of a root of unity: three roundings of an angle ≤ π/4, then a cosine and a sine within one ulp."""


def phase_error(axes: int) -> float:
    """Never below |computed − exact| of a product of one root of unity per axis."""
    return (1 + ROOT_ERROR) ** axes * (1 + complex_gamma(1)) ** (axes - 1) - 1 + 8 * UNIT


def phases(
    positions: list[np.ndarray],
    lengths: tuple[int, ...],
    aliases: tuple[int, ...],
    bases: tuple[int, ...],
    *,
    batch: int,
    device: torch.device,
) -> Iterator[Tensor]:
    """Batches [frequencies, aliases, positions] of exp(−2πi Σ_a (ω_a + j_a·bases_a)·positions_a / lengths_a).

    Per axis: integer positions, ω = 0 … base − 1 and j = 0 … aliases − 1; the last two dimensions run over all
    combinations of the axes, the last axis fastest. Of each pair ±ω one is given: what is real takes conjugate values.
    """
    factors = []
    for place, base in enumerate(bases):
        frequency = np.arange(base)[:, None, None] + base * np.arange(aliases[place])[None, :, None]
        turns = (frequency * positions[place][None, None, :]) % lengths[place]
        factors.append(torch.from_numpy(roots_of_unity(lengths[place])[turns]).to(device))
    frequencies = torch.cartesian_prod(*(torch.arange(base) for base in bases)).reshape(-1, len(bases))
    mirrored = torch.zeros(len(frequencies), dtype=torch.int64)
    for place, base in enumerate(bases):
        mirrored = mirrored * base + -frequencies[:, place] % base
    chosen = frequencies[torch.arange(len(frequencies)) <= mirrored].to(device)
    for part in chosen.split(batch):
        product = factors[0][part[:, 0]]
        for place, factor in enumerate(factors[1:], start=1):
            other = factor[part[:, place]]
            product = product[:, :, None, :, None] * other[:, None, :, None, :]
            product = product.flatten(3, 4).flatten(1, 2)
        yield product


def roots_of_unity(length: int) -> np.ndarray:
    """exp(−2πi j/N) for j = 0 … N−1, complex128, each within `ROOT_ERROR`: angles are reduced to an octant in
    integers.
    """
    table = np.empty(length, dtype=np.complex128)
    for j in range(length):
        octant, rest = divmod(8 * j, length)
        # Odd octants are mirrored, so that the angle never exceeds π/4.
        part = length - rest if octant % 2 else rest
        angle = (math.pi / 4) * part / length
        cosine, sine = math.cos(angle), math.sin(angle)
        if octant % 2:
            cosine, sine = sine, cosine
        for _ in range(octant // 2):
            cosine, sine = -sine, cosine
        table[j] = complex(cosine, -sine)
    return table
