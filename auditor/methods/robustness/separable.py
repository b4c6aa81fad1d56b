"""Norms of one-dimensional linear maps that are known only as something torch can run: the factors of layers that
separate into axes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from auditor.methods.robustness.dense import matrix_norm_upper
from auditor.methods.robustness.rounding import add_up, gamma, multiply_up, sqrt_up
from auditor.methods.robustness.supremum import row_sum_upper
from auditor.terms import Norm

LONG = 2048
"""Positions up to which the matrix of an axis is written out."""


def axis_norm_upper(
    run: Callable[[Tensor], Tensor],
    size: int,
    *,
    norm: Norm = "l2",
    entry_error: float = 0.0,
    absolute_error: float = 0.0,
    touched: int = 0,
) -> float:
    """Never below the norm of the linear map that `run` applies along the last dimension of [channels, size] float64.

    The entries are non-negative. Each is computed within a factor 1 ± `entry_error`, and within `absolute_error`
    where that is not 0: then at most `touched` entries of a row err at all. Beyond `LONG` positions the 2-norm is
    bounded by √(‖A‖₁‖A‖_∞), which is exact where all rows and all columns have equal sums.
    """
    if size <= LONG:
        matrix = run(torch.eye(size, dtype=torch.float64)[None])[0].mT
        upper = matrix_norm_upper if norm == "l2" else row_sum_upper
        bound, outputs = upper(matrix, entry_error=entry_error), len(matrix)
    else:
        ones = torch.ones(1, 1, size, dtype=torch.float64, requires_grad=True)
        with torch.enable_grad():
            rows = run(ones)
            (columns,) = torch.autograd.grad(rows.sum(), ones)
        outputs = rows.numel()
        inflate = multiply_up(add_up(1.0, entry_error), 1 + 2 * gamma(size + outputs))
        row = multiply_up(float(rows.detach().max()), inflate)
        bound = row if norm == "linf" else sqrt_up(multiply_up(row, float(columns.max()), inflate))
    # The perturbation's Frobenius norm, at least its ∞-norm too.
    spread = sqrt_up(float(touched * max(outputs, touched)))
    return add_up(bound, multiply_up(absolute_error, spread)) if absolute_error else bound
