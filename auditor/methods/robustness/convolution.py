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
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from auditor.methods.robustness.autocorrelation import Autocorrelation
from auditor.methods.robustness.dense import absolute_norm_upper, gram_eigenvalue_upper, matrix_norm_upper
from auditor.methods.robustness.frequencies import phase_error, phases
from auditor.methods.robustness.rounding import (
    UNDERFLOW,
    add_up,
    divide_up,
    gamma,
    multiply_up,
    scaled,
    sqrt_up,
    unscaled,
)
from auditor.methods.robustness.threads import one_thread

MEMORY = {"cpu": 48 * 2**20, "cuda": 2**30}
"""Bytes of frequency blocks held at once: on a CPU about what its caches hold."""


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


@one_thread()
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
    strides = tuple(axis.stride for axis in axes)
    correlation = Autocorrelation(tuple(axis.taps for axis in axes), tuple(axis.dilation for axis in axes), strides)
    memory = MEMORY.get(kernel.device.type, MEMORY["cpu"])
    if correlation.worthwhile(outputs, inputs):
        return sqrt_up(correlation.eigenvalue_upper(kernel, lengths, magnitude, memory=memory))
    aliases = math.prod(strides)
    matrix = kernel.permute(3, 0, 1, 2).reshape(taps, -1)
    smaller = min(outputs, inputs * aliases)
    size = 16 * groups * (3 * outputs * inputs * aliases + 6 * smaller**2) + 16 * aliases * taps
    positions = [axis.dilation * np.arange(axis.taps) for axis in axes]
    bases = tuple(length // stride for length, stride in zip(lengths, strides, strict=True))
    largest = 0.0
    for part in phases(positions, lengths, strides, bases, batch=max(1, memory // size), device=kernel.device):
        flat = part.reshape(-1, taps)
        blocks = torch.complex(flat.real @ matrix, flat.imag @ matrix)
        blocks = blocks.reshape(-1, aliases, groups, outputs, inputs).permute(0, 2, 3, 4, 1)
        blocks = blocks.reshape(-1, outputs, inputs * aliases)
        largest = gram_eigenvalue_upper(blocks, at_least=largest)
    # Each entry of a block errs by √2·γ_T(1+φ)Σ|k| from the product and φ·Σ|k| from the phases.
    phase = phase_error(len(axes))
    entry = add_up(multiply_up(1.5, gamma(taps), 1 + 2 * phase), phase)
    return add_up(sqrt_up(divide_up(largest, float(aliases))), multiply_up(entry, magnitude), UNDERFLOW)
