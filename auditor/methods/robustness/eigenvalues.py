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
    extent = float(diagonal.abs().max())
    pending, proved, headroom = matrices, at_least, HEADROOM
    guess = at_least if at_least > 0 else _largest(pending) * (1 + headroom)
    while True:
        shifted = guess * identity - pending
        factor, info = torch.linalg.cholesky_ex(shifted)
        # A factorisation that broke down leaves a large or NaN residual: no proof either way.
        residual = _residual_upper(shifted, factor)
        held = (info == 0) & residual.isfinite()
        if bool(held.any()):
            shift_error = multiply_up(2 * UNIT, add_up(guess, extent))
            proved = max(proved, add_up(guess, float(residual[held].max()), shift_error))
        if bool(held.all()):
            return proved
        pending = pending[~held]
        headroom *= 2
        guess = max(guess, _largest(pending)) * (1 + headroom)


def _largest(matrices: Tensor) -> float:
    """About the largest eigenvalue of all: computed for the few matrices in which power iteration finds the most."""
    leaders = _rayleigh(matrices).topk(min(CANDIDATES, len(matrices))).indices
    return float(torch.linalg.eigvalsh(matrices[leaders]).max())


def _rayleigh(matrices: Tensor) -> Tensor:
    """Estimates from below of each largest eigenvalue, [batch], by a few power steps from a fixed start."""
    size = matrices.shape[-1]
    lower = matrices.tril(-1)
    full = lower + lower.mH + torch.diag_embed(matrices.diagonal(dim1=-2, dim2=-1))
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(size, 1, generator=generator, dtype=torch.float64).to(matrices.device, matrices.dtype)
    vector = vector.expand(len(matrices), size, 1) / vector.norm()
    norm = vector.new_zeros(len(matrices), 1, 1, dtype=torch.float64)
    for _ in range(POWER_STEPS):
        vector = full @ vector
        norm = vector.norm(dim=1, keepdim=True)
        vector = vector / norm.clamp_min(1e-300)
    return norm.flatten()


def _residual_upper(shifted: Tensor, factor: Tensor) -> Tensor:
    """Upper bounds, [batch], on ‖A − L Lᴴ‖ for A = `shifted` (lower triangle) and L = `factor`; overwrites `factor`."""
    size = shifted.shape[-1]
    difference = lower_product(factor.tril_(), triangular=True).sub_(shifted).tril_()
    # Both triangles at most twice the lower one's squares.
    distance = _frobenius(difference) * 1.4142135623730952
    # An entry of L Lᴴ errs by γ_p (|L||Lᴴ|)_ij, the difference by one rounding more; ‖ |L||Lᴴ| ‖ ≤ ‖L‖²_F.
    rounding = complex_gamma(size + 1) if factor.is_complex() else gamma(size + 1)
    # The norms are roots of sums of up to 2p² squares.
    inflate = 1 + 2 * gamma(2 * size * size + 16)
    return (distance * (1 + 2 * UNIT) + rounding * _frobenius(factor).square()) * inflate + UNDERFLOW


def _frobenius(matrices: Tensor) -> Tensor:
    real = torch.view_as_real(matrices) if matrices.is_complex() else matrices
    return torch.linalg.vector_norm(real.flatten(1), dim=1)


def lower_product(matrices: Tensor, *, triangular: bool = False) -> Tensor:
    """M Mᴴ of each of `matrices` [batch, p, n], right in the lower triangle and zero in most of the upper one.

    By block columns, which saves nearly half of the work, and nearly 2/3 where M is lower triangular.
    """
    size = matrices.shape[-2]
    parts = 8 if size >= 128 else 4 if size >= 64 else 1
    edges = [size * step // parts for step in range(parts + 1)]
    product = matrices.new_zeros(*matrices.shape[:-1], size)
    for start, stop in itertools.pairwise(edges):
        inner = stop if triangular else matrices.shape[-1]
        product[..., start:, start:stop] = matrices[..., start:, :inner] @ matrices[..., start:stop, :inner].mH
    return product
