"""Guess, then prove: an upper bound on the largest eigenvalue of Hermitian matrices that holds however the guess was
found.

For any λ and any matrix L, λI − G = L Lᴴ + D gives G ⪯ (λ + ‖D‖)·I. So L is taken from one floating-point Cholesky
factorisation of λI − G, and D = λI − G − L Lᴴ is bounded from its computed value and the rounding of computing it.
This is Rump's verification of positive definiteness (BIT 46, 2006) with the residual measured instead of predicted:
the backward error bound of a factorisation (Higham, thm 10.3) presumes a textbook algorithm, while libraries invert
diagonal blocks; a measured residual presumes nothing.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from auditor.methods.robustness.rounding import UNDERFLOW, UNIT, add_up, complex_gamma, gamma, multiply_up

HEADROOM = 1e-9
"""How far above its estimate λ is tried first, relatively."""

CANDIDATES = 4
"""Matrices of a batch whose eigenvalues are computed when λ must be raised."""

POWER_STEPS = 12


def largest_eigenvalue_upper(matrices: Tensor, *, at_least: float = 0.0) -> float:
    """λ with `matrices[b]` ⪯ λI for every b: never below the largest eigenvalue of any, rarely above by more than
    1e-9.

    `matrices` [batch, p, p], float64 or complex128, of which the lower triangle is read (the upper one is its mirror,
    the diagonal real). `at_least`: where λ need not go below, as when other matrices have shown that the maximum is
    larger.
    """
    size = matrices.shape[-1]
    diagonal = matrices.diagonal(dim1=-2, dim2=-1).real
    if size == 1:
        return max(at_least, float(diagonal.max()))
    identity = torch.eye(size, dtype=matrices.dtype, device=matrices.device)
    pending, rayleigh = matrices, _rayleigh(matrices)
    guess = at_least
    if float(rayleigh.max()) >= at_least:
        guess = max(at_least, _largest(pending, rayleigh) * (1 + HEADROOM))
    proved, headroom = at_least, HEADROOM
    while True:
        shifted = guess * identity - pending
        factor, info = torch.linalg.cholesky_ex(shifted)
        held = info == 0
        if bool(held.any()):
            residual = _residual_upper(shifted[held], factor[held])
            # A NaN residual is a failed proof as well.
            sound = torch.isfinite(residual)
            if bool(sound.any()):
                shift_error = multiply_up(2 * UNIT, add_up(guess, float(diagonal.abs().max())))
                proved = max(proved, add_up(guess, float(residual[sound].max()), shift_error))
            held[held.clone()] = sound
        if bool(held.all()):
            return proved
        pending, rayleigh = pending[~held], rayleigh[~held]
        headroom *= 2
        guess = max(guess, _largest(pending, rayleigh)) * (1 + headroom)


def _rayleigh(matrices: Tensor) -> Tensor:
    """Estimates from below of each largest eigenvalue, [batch], by a few power steps from a fixed start."""
    size = matrices.shape[-1]
    full = matrices.tril(-1)
    full = full + full.mH + torch.diag_embed(matrices.diagonal(dim1=-2, dim2=-1))
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(size, 1, generator=generator, dtype=torch.float64).to(full.device, full.dtype)
    vector = vector.expand(len(full), size, 1) / vector.norm()
    norm = vector.new_zeros(len(full), 1, 1, dtype=torch.float64)
    for _ in range(POWER_STEPS):
        vector = full @ vector
        norm = vector.norm(dim=1, keepdim=True)
        vector = vector / norm.clamp_min(1e-300)
    return norm.flatten()


def _largest(matrices: Tensor, rayleigh: Tensor) -> float:
    """The largest eigenvalue, computed, of the matrices whose estimates lead."""
    leaders = rayleigh.topk(min(CANDIDATES, len(matrices))).indices
    return float(torch.linalg.eigvalsh(matrices[leaders]).max())


def _residual_upper(shifted: Tensor, factor: Tensor) -> Tensor:
    """Upper bounds, [batch], on ‖A − L Lᴴ‖ for A = `shifted` (lower triangle) and L = `factor`."""
    size = shifted.shape[-1]
    difference = shifted.tril() - _product(factor).tril()
    strict = difference.tril(-1)
    squares = 2 * strict.abs().square().sum((-2, -1)) + difference.diagonal(dim1=-2, dim2=-1).abs().square().sum(-1)
    # An entry of L Lᴴ errs by γ_p (|L||Lᴴ|)_ij, the difference by one rounding more; ‖ |L||Lᴴ| ‖ ≤ ‖L‖²_F.
    rounding = complex_gamma(size + 1) if factor.is_complex() else gamma(size + 1)
    mass = factor.tril().abs().square().sum((-2, -1))
    # Sums of p² squares, complex moduli and a root: each within γ of the exact value.
    inflate = 1 + 2 * gamma(size * size + 16)
    return (squares.sqrt() * (1 + 2 * UNIT) + rounding * mass) * inflate + UNDERFLOW


def _product(factor: Tensor) -> Tensor:
    """The lower triangle of L Lᴴ for lower triangular L, by block columns: a third of the full product's work."""
    size = factor.shape[-1]
    edges = [size * step // 4 for step in range(5)] if size >= 64 else [0, size]
    product = torch.zeros_like(factor)
    for start, stop in itertools.pairwise(edges):
        product[..., start:, start:stop] = factor[..., start:, :stop] @ factor[..., start:stop, :stop].mH
    return product
