"""Whether a matrix, or a convolution, stretches nothing by more than a stated factor, proved with NumPy alone.

λI − MᴴM ⪰ 0 is proved by one Cholesky factorisation L whose residual is measured: MᴴM ⪯ λ + ‖λI − MᴴM − LLᴴ‖.
Rounding as in Higham, Accuracy and Stability of Numerical Algorithms, ch. 3: a sum of n products in float64 errs by at
most γ_n times the sum of magnitudes, in any order; a complex one by √2·γ_2n. Presumes conventional matrix products.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

UNIT = 2.0**-53
TINY = 2.0**-900
"""Above everything lost to underflow, matrices being scaled to magnitude 1."""
ROOT_ERROR = 16 * UNIT
"""|computed − exact| of a root of unity: an angle up to π within three roundings, cosine and sine within two ulp."""
BLOCK_BYTES = 128 * 2**20


def gamma(n: int) -> float:
    return n * UNIT / (1 - n * UNIT) * (1 + 4 * UNIT)


def bounded(stack: np.ndarray, limit: float) -> bool:
    """Whether it is proved that ‖M‖₂ ≤ `limit` for every M of `stack` [batch, rows, columns], real or complex, with
    entries of magnitude about 1. False says only that this proof failed.
    """
    if not limit > 0:
        return not stack.any()
    tall = stack if stack.shape[1] >= stack.shape[2] else _adjoint(stack)
    long, size = tall.shape[1:]
    mass = (np.abs(tall) ** 2).sum((1, 2)) * (1 + gamma(4 * long * size + 16)) + TINY
    square = limit * limit * (1 - 2 * UNIT) - TINY
    if size == 1:
        return bool((mass <= square).all())
    gram = _adjoint(tall) @ tall
    relative = 1.5 * gamma(2 * long) if np.iscomplexobj(stack) else gamma(long)
    factor_error = 1.5 * gamma(2 * size + 2) if np.iscomplexobj(stack) else gamma(size + 1)
    diagonal = np.real(gram.diagonal(axis1=1, axis2=2))
    trace = np.maximum(size * square - diagonal.sum(1), 0)
    # What the check below will subtract, so that λ leaves room for it.
    shift = square - 1.1 * (relative * mass + 2 * factor_error * trace + (size + 16) * UNIT * square) - TINY
    shifted = shift[:, None, None] * np.eye(size) - gram
    try:
        factor = np.linalg.cholesky(shifted)
    except np.linalg.LinAlgError:
        return False
    residual = np.tril(factor @ _adjoint(factor) - shifted)
    inflate = 1 + gamma(4 * size * size + 16)
    distance = math.sqrt(2) * np.sqrt((np.abs(residual) ** 2).sum((1, 2))) * inflate
    rounding = factor_error * (np.abs(factor) ** 2).sum((1, 2)) * inflate
    shifting = 2 * UNIT * (np.abs(shift) + np.abs(diagonal).max(1))
    proved = (shift + distance * (1 + 2 * UNIT) + rounding + shifting + relative * mass) * (1 + 8 * UNIT) + TINY
    return bool((np.isfinite(proved) & (proved <= square)).all())


def _adjoint(stack: np.ndarray) -> np.ndarray:
    return stack.conj().swapaxes(1, 2)


def norm_upper(matrix: np.ndarray) -> float:
    """Never below ‖M‖₂ of a small real matrix of ordinary entries."""
    guess = float(np.linalg.norm(matrix, 2)) * (1 + 1e-11)
    for step in range(1, 20):
        if bounded(matrix[None], guess):
            return guess
        guess *= 1 + 1e-11 * 2**step
    return math.inf


def magnitude_upper(stack: np.ndarray) -> float:
    """Never below ‖ |M| ‖₂ of any M of `stack`: the smaller of Frobenius and √(largest column sum · row sum)."""
    size = np.abs(stack)
    frobenius = math.sqrt(float((size * size).sum((1, 2)).max()))
    sums = math.sqrt(float((size.sum(1).max(1) * size.sum(2).max(1)).max()))
    return min(frobenius, sums) * (1 + gamma(size.shape[1] * size.shape[2] + 16)) + TINY


def scaled(values: np.ndarray) -> tuple[np.ndarray, int]:
    """`values` · 2⁻ᵉ with the largest magnitude in [½, 1), and e."""
    largest = float(np.abs(values).max(initial=0.0))
    exponent = math.frexp(largest)[1] if largest else 0
    return np.ldexp(values.astype(np.float64), -exponent), exponent


def dense_bounded(weight: np.ndarray, limit: float, *, entry_error: float = 0.0) -> bool:
    """Whether ‖W‖₂ ≤ `limit` is proved for every W within a relative `entry_error` of `weight` [out, in]."""
    matrix, exponent = scaled(weight[None])
    spare = entry_error * magnitude_upper(matrix) * (1 + 4 * UNIT) if entry_error else 0.0
    return bounded(matrix, math.ldexp(limit, -exponent) - spare)


LARGEST = 1 << 20
"""What a size, a stride or a padding may be: more makes no layer, and would only keep the reader busy."""


def whole(value: Any, least: int = 0) -> int:
    """Raises ValueError for what is no whole number from `least` to `LARGEST`."""
    if not isinstance(value, int) or not least <= value <= LARGEST:
        raise ValueError(f"{value!r} is no size of a layer")
    return value


class Axis(NamedTuple):
    """One axis of a convolution: input size, kernel taps, padding before and after, stride, dilation."""

    size: int
    taps: int
    before: int
    after: int
    stride: int
    dilation: int

    @property
    def extent(self) -> int:
        return (self.taps - 1) * self.dilation + 1

    @property
    def outputs(self) -> int:
        return (self.size + self.before + self.after - self.extent) // self.stride + 1


PADDINGS = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""From torch's names of padding modes to NumPy's."""


def convolution_bounded(
    weight: np.ndarray, axes: tuple[Axis, ...], limit: float, *, groups: int, mode: str, entry_error: float = 0.0
) -> bool:
    """Whether ‖convolution‖₂ ≤ `limit` is proved for a kernel `weight` [out, in/groups, *taps] on the axes' sizes.

    Two proofs, of which one suffices. *Patches*: each output is a product with a patch of the padded input, and a pixel
    lies in at most so many patches. *Frequencies*: rows and columns of the layer are some of those of a convolution on
    a ring that is long enough, whose blocks are bounded one by one.
    """
    if any(axis.outputs < 1 for axis in axes):
        return False
    kernel, exponent = scaled(weight)
    outputs, inputs = kernel.shape[0] // groups, kernel.shape[1]
    kernel = kernel.reshape(groups, outputs, inputs, -1)
    copies = math.prod(_copies(axis, mode) for axis in axes)
    magnitude = _magnitude(kernel)
    target = math.ldexp(limit, -exponent)
    if entry_error:
        target -= entry_error * magnitude * math.sqrt(copies) * (1 + 8 * UNIT)
    patches = math.prod(_patches(axis) for axis in axes) * copies
    if bounded(kernel.reshape(groups, outputs, -1), target / math.sqrt(patches) * (1 - 4 * UNIT)):
        return True
    rings = [_ring(axis, mode) for axis in axes]
    repeats = math.prod(repeat for _, repeat in rings)
    phase = (1 + ROOT_ERROR) ** len(axes) * (1 + 4 * UNIT) ** len(axes) - 1 + 8 * UNIT
    spare = (1.5 * gamma(kernel.shape[-1] + 2) * (1 + 2 * phase) + phase) * magnitude * (1 + 8 * UNIT)
    allowed = target / math.sqrt(repeats) * (1 - 4 * UNIT) - spare
    aliases = math.prod(axis.stride for axis in axes)
    reach = allowed * math.sqrt(aliases) * (1 - 4 * UNIT)
    return all(bounded(blocks, reach) for blocks in _blocks(kernel, axes, [length for length, _ in rings]))


def convolution_magnitude(weight: np.ndarray, axes: tuple[Axis, ...], *, groups: int, mode: str) -> float:
    """Never below ‖ |M| ‖₂ for the matrix M of a convolution with a kernel `weight` [out, in/groups, *taps]."""
    kernel, exponent = scaled(weight)
    copies = math.prod(_copies(axis, mode) for axis in axes)
    magnitude = _magnitude(kernel.reshape(groups, kernel.shape[0] // groups, kernel.shape[1], -1))
    return math.ldexp(magnitude * math.sqrt(copies) * (1 + 8 * UNIT), exponent)


def _magnitude(kernel: np.ndarray) -> float:
    """Never below ‖Σ|k_t|‖₂ of any group of a kernel [groups, out, in, taps]."""
    return magnitude_upper(np.abs(kernel).sum(-1)) * (1 + gamma(kernel.shape[-1] + 2))


def _copies(axis: Axis, mode: str) -> int:
    """How often padding repeats a pixel at most."""
    if mode == "zeros" or not (axis.before or axis.after):
        return 1
    padded = np.pad(np.arange(axis.size), (axis.before, axis.after), mode=PADDINGS[mode])  # pyright: ignore
    return int(np.bincount(padded).max())


def _patches(axis: Axis) -> int:
    """How many patches a padded pixel lies in at most."""
    starts = axis.stride * np.arange(axis.outputs)[:, None] + axis.dilation * np.arange(axis.taps)[None, :]
    return int(np.bincount(starts.ravel()).max())


def _ring(axis: Axis, mode: str) -> tuple[int, int]:
    """Length of a ring, a multiple of the stride, on which windows meet nothing they do not meet here; and how many
    rows or pixels fall on one of its own at most.
    """
    if mode == "circular" and axis.size % axis.stride == 0:
        return axis.size, -(-axis.stride * axis.outputs // axis.size)
    if mode == "zeros":
        # Windows further out see only zeros.
        needed, repeat = axis.size + min(max(axis.before, axis.after), axis.extent - 1), 1
    else:
        needed, repeat = axis.size + axis.before + axis.after, _copies(axis, mode)
    return -(-needed // axis.stride) * axis.stride, repeat


def _blocks(kernel: np.ndarray, axes: tuple[Axis, ...], lengths: list[int]) -> Iterator[np.ndarray]:
    """Blocks [batch, out, in · aliases] of the ring's convolution, for one of each pair of frequencies ±ω."""
    groups, outputs, inputs, taps = kernel.shape
    bases = [length // axis.stride for axis, length in zip(axes, lengths, strict=True)]
    shifts = list(itertools.product(*(range(axis.stride) for axis in axes)))
    taps_at = np.array(list(itertools.product(*(range(axis.taps) for axis in axes))))
    places = taps_at.astype(np.int64) * np.array([axis.dilation for axis in axes], dtype=np.int64)
    matrix = kernel.transpose(3, 0, 1, 2).reshape(taps, -1)
    half = [
        ω
        for ω in itertools.product(*map(range, bases))
        if ω <= tuple(-w % base for w, base in zip(ω, bases, strict=True))
    ]
    roots = [_roots(length) for length in lengths]
    width = len(shifts)
    batch = max(
        1, BLOCK_BYTES // (16 * groups * (3 * outputs * inputs * width + 6 * min(outputs, inputs * width) ** 2))
    )
    aliases = np.array(shifts, dtype=np.int64)[None] * np.array(bases, dtype=np.int64)
    for start in range(0, len(half), batch):
        frequencies = np.array(half[start : start + batch], dtype=np.int64)[:, None, :] + aliases
        phases = np.ones((len(frequencies), width, taps), dtype=np.complex128)
        for place, (root, length) in enumerate(zip(roots, lengths, strict=True)):
            turns = (frequencies[:, :, None, place] * places[None, None, :, place]) % length
            phases = phases * root.take(turns)
        flat = phases.reshape(-1, taps)
        blocks = np.real(flat) @ matrix + 1j * (np.imag(flat) @ matrix)
        blocks = blocks.reshape(-1, width, groups, outputs, inputs).transpose(0, 2, 3, 4, 1)
        yield blocks.reshape(-1, outputs, inputs * width)


def _roots(length: int) -> np.ndarray:
    """exp(−2πi j/N) for j = 0 … N−1, each within `ROOT_ERROR`."""
    near = [j if 2 * j <= length else j - length for j in range(length)]
    angles = [2 * math.pi * j / length for j in near]
    return np.array([complex(math.cos(angle), -math.sin(angle)) for angle in angles])
