"""The Gram matrices of a convolution's frequency blocks, from its kernel's correlation with itself.

H(ω)H(ω)ᴴ = Σ_δ C_δ e^{−iωδ} with C_δ = Σ_{t−t'=δ} k_t k_t'ᵀ, a trigonometric polynomial whose few coefficients are
computed once: each frequency then costs a combination of matrices instead of a product of them. With a stride s the
mean over the aliases keeps the differences δ that s divides. C_{−δ} = C_δᵀ, so half of the coefficients are enough.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor

from auditor.methods.robustness.eigenvalues import largest_eigenvalue_upper
from auditor.methods.robustness.frequencies import phase_error, phases
from auditor.methods.robustness.rounding import UNDERFLOW, add_up, gamma, multiply_up

WORTHWHILE = 32
"""Rows from which combining coefficients beats multiplying blocks, if there are fewer coefficients than rows."""

TAPS = 64
"""Kernels above this size have too many pairs of taps."""


class Autocorrelation:
    """Whether and how the Gram matrices of a kernel [groups, out, in, taps], `shape` its taps per axis, are combined.

    `differences`, per axis, are the positions δ that count, symmetric around 0.
    """

    def __init__(self, shape: tuple[int, ...], dilations: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.shape, self.dilations, self.strides = shape, dilations, strides
        self.differences = [
            np.array([δ for δ in range(-(k - 1) * d, (k - 1) * d + 1, d) if δ % s == 0])
            for k, d, s in zip(shape, dilations, strides, strict=True)
        ]

    def worthwhile(self, rows: int, inputs: int) -> bool:
        """For blocks with `rows` rows and `inputs` columns an alias."""
        coefficients = math.prod(map(len, self.differences))
        aliases = math.prod(self.strides)
        smaller = rows <= inputs * aliases or aliases == 1
        return (
            smaller and max(WORTHWHILE, coefficients) <= min(rows, inputs * aliases) and math.prod(self.shape) <= TAPS
        )

    def eigenvalue_upper(self, kernel: Tensor, lengths: tuple[int, ...], magnitude: float, *, memory: int) -> float:
        """Never below the largest squared singular value of the ring's blocks (of their aliases side by side, divided
        by √s); `magnitude` bounds ‖Σ_t |k_t|‖ from above.

        An entry of C_δ is a sum of at most T·in products, one of G of D such sums times a phase, so that
        |G − exact| ≤ √2(γ_{T·in+D+4}(1 + φ) + φ)·KKᵀ entry by entry, K = Σ_t |k_t|: real and imaginary part alike.
        """
        groups, outputs, inputs, taps = kernel.shape
        if outputs > inputs and math.prod(self.strides) == 1:
            # The other side's Gram matrix: that of the transposed blocks, up to conjugation.
            kernel, outputs, inputs = kernel.transpose(1, 2), inputs, outputs
        symmetric, skew = self._coefficients(kernel)
        middle, count = len(symmetric) - 1, 2 * len(symmetric) - 1
        batch = max(1, memory // (16 * groups * 8 * outputs**2 + 16 * count))
        bases = tuple(length // stride for length, stride in zip(lengths, self.strides, strict=True))
        largest = 0.0
        ones = (1,) * len(bases)
        for part in phases(self.differences, lengths, ones, bases, batch=batch, device=kernel.device):
            half = part[:, 0, middle:]
            gram = torch.complex(half.real @ symmetric, half.imag @ skew).reshape(-1, outputs, outputs)
            largest = largest_eigenvalue_upper(gram, at_least=largest)
        phase = phase_error(len(bases))
        entry = multiply_up(1.5, add_up(multiply_up(gamma(taps * inputs + count + 4), 1 + 2 * phase), phase))
        return add_up(largest, multiply_up(entry, magnitude, magnitude), UNDERFLOW)

    def _coefficients(self, kernel: Tensor) -> tuple[Tensor, Tensor]:
        """C_δ + C_δᵀ (C_0 itself) and C_δ − C_δᵀ for δ from 0 on, each [differences, groups · out · out].

        G = Σ_{δ≥0} cos(ωδ)(C_δ + C_δᵀ) − i·sin(ωδ)(C_δ − C_δᵀ), `part` holding cos − i·sin.
        """
        place = {δ: index for index, δ in enumerate(itertools.product(*(list(d) for d in self.differences)))}
        middle = len(place) // 2
        groups, outputs = kernel.shape[:2]
        sums = kernel.new_zeros(middle + 1, groups, outputs, outputs)
        grid = list(itertools.product(*(range(0, k * d, d) for k, d in zip(self.shape, self.dilations, strict=True))))
        taps = kernel.permute(3, 0, 1, 2).contiguous()
        for (t, first), (other, second) in itertools.product(enumerate(grid), repeat=2):
            index = place.get(tuple(a - b for a, b in zip(first, second, strict=True)), -1)
            if index >= middle:
                sums[index - middle] += taps[t] @ taps[other].mT
        symmetric, skew = sums + sums.mT, sums - sums.mT
        symmetric[0] = sums[0]
        return symmetric.flatten(1), skew.flatten(1)
