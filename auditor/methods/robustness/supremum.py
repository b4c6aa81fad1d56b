"""Lipschitz constants of linear layers in the ∞-norm: the largest sum of magnitudes of a row, rounded up.

‖W‖_∞→∞ = max_o Σ_i |W_oi|, exactly. A row of a convolution is its kernel, cut where the window leaves the input, so
only the few different ways of cutting count; they are products over the axes. Padding that repeats pixels adds up
taps on one pixel, |a + b| ≤ |a| + |b|, so whole kernels bound it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from auditor.methods.robustness.convolution import Axis
from auditor.methods.robustness.rounding import UNDERFLOW, add_up, gamma, multiply_up, scaled, unscaled
from auditor.methods.robustness.threads import one_thread


@one_thread()
def row_sum_upper(weight: Tensor, *, entry_error: float = 0.0) -> float:
    """Never below ‖W‖_∞ of any matrix whose entries differ from those of `weight` [rows, columns] by a factor of at
    most 1 ± `entry_error`.
    """
    if weight.numel() == 0:
        return 0.0
    matrix, exponent = scaled(weight)
    return _rounded(float(matrix.abs().sum(1).max()), weight.shape[1], entry_error, exponent)


@one_thread()
def convolution_row_sum_upper(
    weight: Tensor,
    axes: tuple[Axis, ...],
    *,
    groups: int = 1,
    mode: str = "zeros",
    entry_error: float = 0.0,
    transposed: bool = False,
) -> float:
    """Never below the ∞-norm of the convolution with kernel `weight` [out, in/groups, *taps] on inputs of the axes'
    sizes, or of its adjoint if `transposed`.

    `mode` and `entry_error` as in `convolution_norm_upper`. Exact but for rounding with zero padding.
    """
    kernel, exponent = scaled(weight)
    if not bool(kernel.any()):
        return 0.0
    magnitudes = kernel.abs()
    # Each output channel of the adjoint sums over the kernel's outputs of its group.
    sums = magnitudes.unflatten(0, (groups, -1)).sum(1).flatten(0, 1) if transposed else magnitudes.sum(1)
    for axis in axes:
        seen = taps_by_output(axis, mode, transposed=transposed).to(sums)
        sums = sums.movedim(1, -1) @ seen.mT
    return _rounded(float(sums.max()), kernel.numel(), entry_error, exponent)


def taps_by_output(axis: Axis, mode: str = "zeros", *, transposed: bool = False) -> Tensor:
    """The sets of taps that one output sums over, bool [sets, taps]; sets within another one are left out."""
    if mode != "zeros":
        return torch.ones(1, axis.taps, dtype=torch.bool)
    windows = torch.arange(axis.outputs)[:, None] * axis.stride - axis.before
    positions = windows + axis.dilation * torch.arange(axis.taps)
    inside = (positions >= 0) & (positions < axis.size)
    if transposed:
        seen = torch.zeros(axis.size, axis.taps, dtype=torch.bool)
        seen[positions[inside], torch.arange(axis.taps).expand_as(positions)[inside]] = True
    else:
        seen = inside
    sets = seen.unique(dim=0)
    covered = (sets[:, None, :] <= sets[None, :, :]).all(-1).fill_diagonal_(False)
    return sets[~covered.any(1)]


def _rounded(total: float, terms: int, entry_error: float, exponent: int) -> float:
    """`total`, a computed sum of at most `terms` magnitudes (in up to five stages), rounded up and scaled back."""
    inflated = multiply_up(total, 1 + 2 * gamma(terms + 16), add_up(1.0, entry_error))
    return unscaled(add_up(inflated, UNDERFLOW), exponent)
