"""How fast the lead of one class over another can change, from what is known of the layers below (thesis 5.3, A.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from auditor.methods.robustness.elementary import PrependZero, Sum
from auditor.methods.robustness.pieces import Piece
from auditor.methods.robustness.rounding import UNDERFLOW, add_up, gamma, multiply_up, scaled, sqrt_up
from auditor.terms import Norm


def margin_constants(
    pieces: tuple[Piece, ...], reaches: Sequence[float], place: int, classes: int, norm: Norm
) -> Tensor:
    """K [classes, classes], float64: entry [j, i] is never below the Lipschitz constant of f_j − f_i, for the value f
    of the piece at `place`.

    `reaches[p]` is that of the piece at place p, and `reaches[-1]` that of the network's input, 1. A dense layer gives
    K_sub · ‖w_j − w_i‖, in the dual norm; a sum adds up; anything else ‖e_j − e_i‖ times the constant of all logits,
    which is tighter than K_i + K_j.
    """
    piece = pieces[place] if place >= 0 else None
    if piece is not None and isinstance(piece.layer, PrependZero):
        below = pieces[piece.inputs[0]] if piece.inputs[0] >= 0 else None
        if below is not None and below.dense:
            assert below.weight is not None
            rows = torch.cat((torch.zeros_like(below.weight[:1]), below.weight))
            return _dense(rows, below, reaches[below.inputs[0]], norm)
    elif piece is not None and piece.dense:
        assert piece.weight is not None
        return _dense(piece.weight, piece, reaches[piece.inputs[0]], norm)
    elif piece is not None and isinstance(piece.layer, Sum):
        total = torch.zeros(classes, classes, dtype=torch.float64)
        for each in piece.inputs:
            term = margin_constants(pieces, reaches, each, classes, norm)
            total = torch.where(term == 0, total, _next_up(total + term))
        return total
    apart = sqrt_up(2.0) if norm == "l2" else 2.0
    whole = torch.full((classes, classes), multiply_up(apart, reaches[place]), dtype=torch.float64)
    return whole.fill_diagonal_(0.0)


def _dense(rows: Tensor, piece: Piece, below: float, norm: Norm) -> Tensor:
    distances = row_distances_upper(rows, piece.entry_error, norm)
    if piece.slack:
        distances = _next_up(distances + add_up(piece.slack, piece.slack))
    return scale_up(distances, below).fill_diagonal_(0.0)


def row_distances_upper(rows: Tensor, entry_error: float, norm: Norm = "l2") -> Tensor:
    """Never below ‖w_j − w_i‖ [classes, classes], the 2-norm for l2 and the 1-norm for linf, for rows within a
    relative `entry_error`, nor above ‖w_j‖ + ‖w_i‖.
    """
    weight, exponent = scaled(rows.cpu())
    inflate = 1 + 2 * gamma(weight.shape[1] + 16)
    norms = _length(weight, norm) * inflate
    sums = norms[:, None] + norms[None, :]
    distances = torch.stack([_length(weight - row, norm) for row in weight])
    distances = distances * inflate + entry_error * (1 + 1e-9) * sums
    if entry_error == 0.0:
        equal = torch.stack([(weight == row).all(1) for row in weight])
        distances = distances.masked_fill(equal, 0.0)
    distances = torch.minimum(distances, sums * (1 + entry_error)) * inflate
    return _times_power(distances, exponent)


def _length(rows: Tensor, norm: Norm) -> Tensor:
    return (rows.square().sum(1) + UNDERFLOW).sqrt() if norm == "l2" else rows.abs().sum(1) + UNDERFLOW


def _times_power(values: Tensor, exponent: int) -> Tensor:
    """values · 2ᵉ, rounded up where that is not exact."""
    half = exponent // 2
    return scale_up(scale_up(values, 2.0**half), 2.0 ** (exponent - half))


def scale_up(values: Tensor, factor: float) -> Tensor:
    """Non-negative values times a non-negative factor, rounded up; zero stays zero."""
    if factor == 0.0:
        return torch.zeros_like(values)
    product = values * factor
    return torch.where(values == 0, values, _next_up(product))


def _next_up(values: Tensor) -> Tensor:
    return torch.nextafter(values, torch.full_like(values, torch.inf))
