"""The spectral norm of a matrix, bounded from above by the Gram matrix of its smaller side."""

from __future__ import annotations

import torch
from torch import Tensor

from auditor.methods.robustness.eigenvalues import largest_eigenvalue_upper, lower_product
from auditor.methods.robustness.rounding import (
    UNDERFLOW,
    add_up,
    complex_gamma,
    gamma,
    multiply_up,
    scaled,
    sqrt_up,
    unscaled,
)
from auditor.methods.robustness.threads import one_thread


@one_thread()
def matrix_norm_upper(weight: Tensor, *, entry_error: float = 0.0) -> float:
    """Never below ‖W‖₂ of any matrix whose entries differ from those of `weight` [rows, columns] by a factor of at
    most 1 ± `entry_error`.

    A stack [batch, rows, columns] gives the largest norm. Never above by more than about 1e-9 relatively for up to a
    few thousand rows (and `entry_error` · ‖W‖_F).
    """
    matrices, exponent = scaled(weight if weight.ndim == 3 else weight[None])
    if matrices.numel() == 0 or not bool(matrices.any()):
        return 0.0
    norm = sqrt_up(gram_eigenvalue_upper(matrices))
    perturbation = multiply_up(entry_error, absolute_norm_upper(matrices)) if entry_error else 0.0
    return unscaled(add_up(norm, perturbation, UNDERFLOW), exponent)


def gram_eigenvalue_upper(matrices: Tensor, *, at_least: float = 0.0) -> float:
    """Never below the largest squared singular value of any of `matrices` [batch, rows, columns], real or complex.

    |fl(WᴴW) − WᴴW| ≤ γ_n |W|ᴴ|W| entry by entry (Higham 3.5), whose norm is at most ‖W‖²_F. Presumes
    conventional multiplication in any order of summation: no Strassen, no three-product complex multiplication.
    """
    rows, columns = matrices.shape[-2:]
    tall = matrices if rows >= columns else matrices.mH
    gram = lower_product(tall.mH)
    inner = max(rows, columns)
    relative = complex_gamma(inner) if matrices.is_complex() else gamma(inner)
    real = torch.view_as_real(matrices) if matrices.is_complex() else matrices
    mass = float(torch.linalg.vector_norm(real.flatten(1), dim=1).max()) ** 2 * (1 + 2 * gamma(2 * rows * columns + 16))
    return add_up(largest_eigenvalue_upper(gram, at_least=at_least), multiply_up(relative, mass), UNDERFLOW)


def absolute_norm_upper(matrices: Tensor) -> float:
    """Never below ‖ |W| ‖₂ of any of `matrices` [batch, rows, columns]: the smaller of Frobenius and √(‖W‖₁‖W‖_∞)."""
    size = matrices.shape[-1] * matrices.shape[-2]
    inflate = 1 + 2 * gamma(size + 16)
    magnitude = matrices.abs()
    frobenius = sqrt_up(float(magnitude.square().sum((-2, -1)).max()) * inflate)
    columns, rows = magnitude.sum(-2).amax(-1), magnitude.sum(-1).amax(-1)
    return min(add_up(frobenius, UNDERFLOW), add_up(sqrt_up(float((columns * rows).max()) * inflate), UNDERFLOW))
