"""The spectral norm of a convolution on inputs of a given size, bounded from above by its blocks in frequency space.

A convolution on a ring of N positions is block-diagonal in frequency (Sedghi, Gupta & Long 2019). What it is on a
line follows by restriction, and a restriction never has the larger norm:

- *Zero padding* reads positions −p' … n−1+p' with p' = min(p, k_eff−1) (windows further out see only zeros). On a
  ring of N ≥ n + p' those outside the input fall on the ring's empty part, so the layer is a part of the ring's rows
  and columns.
- *Stride s* keeps every s-th row: with s | N, frequency ω meets its s aliases, block [H(ω) … H(ω + (s−1)N/s)] / √s.
- *Circular padding*, s | n: the ring is the input itself, N = n, and each row is computed at most ⌈s·out/n⌉ times.
- *Any other padding* is a gather followed by a convolution without padding on n + 2p positions: × √(most copies of a
  pixel).
- *Groups* are blocks of a block-diagonal map: the largest counts.
- *Patches*: ‖W‖ ≤ ‖kernel as a matrix [out, in·k]‖ · √(most windows that see a pixel), exact where windows are
  disjoint.

The blocks come from a direct product with roots of unity rather than an FFT: kernels are small, memory is bounded by
taking frequencies in batches, and the error is that of one inner product instead of a library's unknown algorithm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from auditor.methods.robustness.dense import absolute_norm_upper, gram_eigenvalue_upper, matrix_norm_upper
from auditor.methods.robustness.rounding import (
    UNDERFLOW,
    UNIT,
    add_up,
    complex_gamma,
    divide_up,
    gamma,
    multiply_up,
    scaled,
    sqrt_up,
    unscaled,
)

MEMORY = 192 * 2**20
"""Bytes of frequency blocks held at once."""

ROOT_ERROR = 8 * UNIT
"""|computed − exact| of a root of unity: three roundings of an angle ≤ π/4, then a cosine and a sine within one ulp."""


class Axis(NamedTuple):
    """One spatial axis of a convolution: input size, kernel taps, padding (before, after), stride, dilation."""

    size: int
    taps: int
    before: int
    after: int
    stride: int
    dilation: int

    @property
    def extent(self) -> int:
        """k_eff, the positions a window spans."""
        return (self.taps - 1) * self.dilation + 1

    @property
    def outputs(self) -> int:
        return (self.size + self.before + self.after - self.extent) // self.stride + 1


def convolution_norm_upper(
    weight: Tensor, axes: tuple[Axis, ...], *, groups: int = 1, mode: str = "zeros", entry_error: float = 0.0
) -> float:
    """Never below the 2-norm of the convolution with kernel `weight` [out, in/groups, *taps] on inputs of the axes'
    sizes.

    `mode` is torch's padding mode. `entry_error` as in `matrix_norm_upper`. Raises ValueError where the kernel
    exceeds the padded input.
    """
    if any(axis.outputs < 1 for axis in axes):
        raise ValueError(f"the kernel is larger than the padded input: {axes}")
    kernel, exponent = scaled(weight)
    if not bool(kernel.any()):
        return 0.0
    outputs, inputs = kernel.shape[0] // groups, kernel.shape[1]
    kernel = kernel.reshape(groups, outputs, inputs, -1)
    magnitude = _magnitude(kernel)
    copies = math.prod(_copies(axis, mode) for axis in axes)
    overlap = math.prod(_overlap(axis) for axis in axes)
    patch = multiply_up(sqrt_up(float(overlap * copies)), matrix_norm_upper(kernel.reshape(groups, outputs, -1)))
    bound = patch
    if overlap > 1:
        rings = [_ring(axis, mode) for axis in axes]
        repeats = math.prod(repeat for _, repeat in rings)
        ring = _ring_norm_upper(kernel, axes, tuple(length for length, _ in rings), magnitude)
        bound = min(patch, multiply_up(sqrt_up(float(repeats)), ring))
    perturbation = multiply_up(entry_error, magnitude, sqrt_up(float(copies))) if entry_error else 0.0
    return unscaled(add_up(bound, perturbation, UNDERFLOW), exponent)


def absolute_convolution_upper(
    weight: Tensor, axes: tuple[Axis, ...], *, groups: int = 1, mode: str = "zeros"
) -> float:
    """Never below the 2-norm of the convolution with kernel |`weight`|, cheap and loose: what rounding errors scale
    with.
    """
    kernel, exponent = scaled(weight)
    magnitude = _magnitude(kernel.reshape(groups, kernel.shape[0] // groups, kernel.shape[1], -1))
    copies = math.prod(_copies(axis, mode) for axis in axes)
    return unscaled(multiply_up(magnitude, sqrt_up(float(copies))), exponent)


def _magnitude(kernel: Tensor) -> float:
    """Never below ‖Σ_t |k_t|‖ of any group of `kernel` [groups, out, in, taps].

    A non-negative kernel stretches a ring most at frequency 0, so this bounds it on every ring and every part of one.
    """
    return multiply_up(absolute_norm_upper(kernel.abs().sum(-1)), 1 + 2 * gamma(kernel.shape[-1] + 2))


def _copies(axis: Axis, mode: str) -> int:
    """How often padding repeats a position of the input at most."""
    if mode == "zeros" or not (axis.before or axis.after):
        return 1
    positions = torch.arange(axis.size, dtype=torch.float64).reshape(1, 1, -1)
    padded = functional.pad(positions, (axis.before, axis.after), mode=mode).flatten().to(torch.int64)
    return int(torch.bincount(padded).max())


def _overlap(axis: Axis) -> int:
    """How many windows see one (padded) position at most: taps t with t·dilation ≡ c modulo the stride."""
    step = axis.stride // math.gcd(axis.stride, axis.dilation)
    return min(axis.outputs, -(-axis.taps // step))


def _ring(axis: Axis, mode: str) -> tuple[int, int]:
    """Length of the ring, a multiple of the stride, and how often a row (or a pixel) is repeated at most."""
    stride = axis.stride
    if mode == "circular" and axis.size % stride == 0:
        return axis.size, -(-stride * axis.outputs // axis.size)
    if mode == "zeros":
        length = axis.size + min(max(axis.before, axis.after), axis.extent - 1)
    else:
        length = axis.size + axis.before + axis.after
    return -(-length // stride) * stride, _copies(axis, mode)


def _ring_norm_upper(kernel: Tensor, axes: tuple[Axis, ...], lengths: tuple[int, ...], magnitude: float) -> float:
    """Never below the norm of the circular strided convolution; `kernel` [groups, out, in, taps] scaled to magnitude
    1.
    """
    groups, outputs, inputs, taps = kernel.shape
    aliases = math.prod(axis.stride for axis in axes)
    matrix = kernel.permute(3, 0, 1, 2).reshape(taps, -1)
    smaller = min(outputs, inputs * aliases)
    size = 16 * groups * (3 * outputs * inputs * aliases + 6 * smaller**2) + 16 * aliases * taps
    largest = 0.0
    for phases in _phases(axes, lengths, batch=max(1, MEMORY // size), device=kernel.device):
        flat = phases.reshape(-1, taps)
        blocks = torch.complex(flat.real @ matrix, flat.imag @ matrix)
        blocks = blocks.reshape(-1, aliases, groups, outputs, inputs).permute(0, 2, 3, 4, 1)
        blocks = blocks.reshape(-1, outputs, inputs * aliases)
        largest = gram_eigenvalue_upper(blocks, at_least=largest)
    # Each entry of a block errs by √2·γ_T(1+τ)Σ|k| from the product and τ·Σ|k| from the phases.
    phase = (1 + ROOT_ERROR) ** len(axes) * (1 + complex_gamma(1)) ** (len(axes) - 1) - 1 + 8 * UNIT
    entry = add_up(multiply_up(1.5, gamma(taps), 1 + 2 * phase), phase)
    return add_up(sqrt_up(divide_up(largest, float(aliases))), multiply_up(entry, magnitude), UNDERFLOW)


def _phases(axes: tuple[Axis, ...], lengths: tuple[int, ...], *, batch: int, device: torch.device) -> Iterator[Tensor]:
    """Batches [frequencies, aliases, taps] of exp(−2πi Σ ω_a t_a d_a / N_a), one of each pair ±ω (the kernel is
    real).
    """
    factors = []
    for axis, length in zip(axes, lengths, strict=True):
        base = length // axis.stride
        frequency = np.arange(base)[:, None, None] + base * np.arange(axis.stride)[None, :, None]
        position = axis.dilation * np.arange(axis.taps)[None, None, :]
        factors.append(torch.from_numpy(roots_of_unity(length)[(frequency * position) % length]).to(device))
    bases = [factor.shape[0] for factor in factors]
    frequencies = torch.cartesian_prod(*(torch.arange(base) for base in bases)).reshape(-1, len(bases))
    mirrored = torch.zeros(len(frequencies), dtype=torch.int64)
    for place, base in enumerate(bases):
        mirrored = mirrored * base + -frequencies[:, place] % base
    chosen = frequencies[torch.arange(len(frequencies)) <= mirrored].to(device)
    for part in chosen.split(batch):
        phases = factors[0][part[:, 0]]
        for place, factor in enumerate(factors[1:], start=1):
            other = factor[part[:, place]]
            phases = phases[:, :, None, :, None] * other[:, None, :, None, :]
            phases = phases.flatten(3, 4).flatten(1, 2)
        yield phases


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
