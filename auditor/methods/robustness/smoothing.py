"""Randomized smoothing (Cohen, Rosenfeld & Kolter 2019): a certificate for any model's vote under Gaussian noise.

The smoothed classifier g gives the class that f gives most often at x + N(0, σ²I). If that class has probability at
least p > ½, g is constant within σΦ⁻¹(p) of x in the 2-norm (their theorem 1, with 1 − p for the runner-up). p is
bounded from below by an exact binomial bound on fresh samples, so each row's certificate holds with probability 1 − α,
over its own noise, and rows are independent of each other.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from auditor.statistics import clopper_pearson_bounds
from auditor.tensors import Inputs, Labels

PIECE = 64
"""Samples drawn from one seed. Noise depends on the row, its seed and the piece's number: never on the batch."""
CHOICE, VOTE = 0, 1
"""The two stages, which share no noise."""


class Votes(NamedTuple):
    """One entry a row: the class chosen in the first stage, and how many of the second stage's samples agree."""

    chosen: Tensor
    agreeing: Tensor


class Smoothed(NamedTuple):
    """One entry a row. `predicted`: the class of g, -1 where it abstains; `radius`: g is constant within it, in the
    2-norm, with probability at least 1 − alpha a row; 0 where it abstains. `probability`: the lower bound on p.
    """

    predicted: Tensor
    radius: Tensor
    probability: Tensor


def votes(
    model: nn.Module,
    inputs: Inputs,
    rows: Labels,
    *,
    sigma: float,
    first: int,
    samples: int,
    seed: int,
    batch_size: int = 1024,
    progress: Callable[[int, int], None] | None = None,
) -> Votes:
    """Both stages of sampling for each of `inputs`; `rows` are the numbers from which, with `seed`, noise is drawn.

    `model` is called as it is, in the dtype and on the device of `inputs`. `progress` is told the rows done and all.
    """
    chosen, agreeing = [], []
    for place, (x, row) in enumerate(zip(inputs, rows.tolist(), strict=True)):
        counts = _counts(model, x, (seed, row, CHOICE), sigma, first, batch_size)
        best = int(counts.argmax())
        chosen.append(best)
        agreeing.append(int(_counts(model, x, (seed, row, VOTE), sigma, samples, batch_size)[best]))
        if progress is not None:
            progress(place + 1, len(inputs))
    return Votes(torch.tensor(chosen, dtype=torch.int64), torch.tensor(agreeing, dtype=torch.int64))


def _counts(model: nn.Module, x: Tensor, seed: tuple[int, ...], sigma: float, samples: int, batch_size: int) -> Tensor:
    """How often each class wins among `samples` noisy copies of one input, int64 [classes]."""
    total = torch.zeros(0, dtype=torch.int64)
    pieces = -(-samples // PIECE)
    together = max(1, batch_size // PIECE)
    for start in range(0, pieces, together):
        drawn = [_noise(x, (*seed, piece)) for piece in range(start, min(start + together, pieces))]
        noise = torch.cat(drawn)[: samples - start * PIECE]
        with torch.no_grad():
            parts = [model(x + sigma * part.to(x.device)) for part in noise.split(max(1, batch_size))]
        logits = torch.cat(parts)
        # A row that is no number votes for no class.
        winners = logits.argmax(1)[~logits.isnan().any(1)]
        counted = torch.bincount(winners, minlength=logits.shape[1]).cpu()
        total = counted if not len(total) else total + counted
    return total


def _noise(x: Tensor, seed: tuple[int, ...]) -> Tensor:
    """PIECE standard normal copies of x's shape, on the CPU so that every device meets the same."""
    number = int.from_bytes(hashlib.sha256(repr(seed).encode()).digest()[:8], "big") >> 1
    generator = torch.Generator().manual_seed(number)
    return torch.randn(PIECE, *x.shape, generator=generator, dtype=x.dtype)


def certificates(found: Votes, *, sigma: float, samples: int, alpha: float) -> Smoothed:
    """What the votes certify, each row with probability at least 1 − `alpha` over its noise."""
    from scipy.stats import norm

    low = clopper_pearson_bounds(found.agreeing.numpy(), samples, confidence=1 - alpha).low
    # The quantiles' own rounding is far below this.
    probability = torch.from_numpy(low * (1 - 1e-12))
    sure = probability > 0.5
    radius = torch.from_numpy(norm.ppf(probability.numpy())) * (sigma * (1 - 1e-12))
    return Smoothed(torch.where(sure, found.chosen, -1), torch.where(sure, radius, 0.0).clamp_min(0.0), probability)


def most_mistaken(rows: int, *, alpha: float, confidence: float) -> int:
    """How many of `rows` independent certificates are false at most, with probability `confidence`, if each is false
    with probability `alpha` at most.
    """
    from scipy.stats import binom

    return math.ceil(binom.ppf(confidence, rows, alpha)) if rows else 0
