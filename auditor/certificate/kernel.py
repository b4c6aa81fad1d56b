"""A linear map as one array, with what may be wrong with it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from auditor.certificate.norms import UNIT, Axis, convolution_magnitude, magnitude_upper


class Kernel(NamedTuple):
    """A dense `weight` [out, in], with `axes` a convolution's [out, in/groups, *taps], or for a `scaling` the factor of
    each entry.

    Entries are right up to a relative `error`, and the map they make, besides, up to `slack` in the certificate's norm.
    """

    weight: np.ndarray
    axes: tuple[Axis, ...] | None = None
    groups: int = 1
    mode: str = "zeros"
    scaling: bool = False
    error: float = 0.0
    slack: float = 0.0

    def uncertainty(self, norm: str) -> float:
        """Never below the norm of what may be wrong with the map."""
        if not self.error:
            return self.slack
        size = np.abs(self.weight)
        if self.scaling:
            magnitude = float(size.max(initial=0.0))
        elif norm == "linf":
            magnitude = float(size.reshape(len(size), -1).sum(1).max()) * (1 + 1e-12)
        elif self.axes is None:
            magnitude = magnitude_upper(self.weight[None])
        else:
            magnitude = convolution_magnitude(self.weight, self.axes, groups=self.groups, mode=self.mode)
        return (self.error * magnitude + self.slack) * (1 + 8 * UNIT)


def per_channel(factors: np.ndarray) -> np.ndarray:
    """One factor a channel. Raises ValueError where a channel is not scaled as a whole."""
    flat = factors.reshape(len(factors), -1)
    if not (flat == flat[:, :1]).all():
        raise ValueError("a scaling that differs within a channel is no part of its neighbour")
    return flat[:, 0]


def alike(kernels: tuple[Kernel, ...]) -> list[Kernel]:
    """The same maps in one form: scalings beside dense kernels as diagonals, beside convolutions as single taps."""
    kernel = next((each for each in kernels if not each.scaling), None)
    if kernel is None:
        return list(kernels)
    formed = [each if not each.scaling else _as_dense(each) if kernel.axes is None else _as_taps(each, kernel.axes)
              for each in kernels]  # fmt: skip
    if len({each.axes is None for each in formed}) > 1:
        raise ValueError("a dense layer and a convolution are no one kernel")
    return formed


def _as_dense(scaling: Kernel) -> Kernel:
    rows = scaling.weight.reshape(-1, scaling.weight.shape[-1])
    if not (rows == rows[:1]).all():
        raise ValueError("a scaling that differs between positions is no dense layer")
    return scaling._replace(weight=np.diag(rows[0]), scaling=False)


def _as_taps(scaling: Kernel, like: tuple[Axis, ...]) -> Kernel:
    sizes = tuple(axis.size for axis in like)
    if any(axis.stride != 1 for axis in like) or scaling.weight.shape[1:] != sizes:
        raise ValueError("a scaling is no convolution of this geometry")
    factors = per_channel(scaling.weight)
    weight = factors.reshape(-1, 1, *[1] * len(sizes))
    axes = tuple(Axis(size, 1, 0, 0, 1, 1) for size in sizes)
    return scaling._replace(weight=weight, axes=axes, groups=len(factors), scaling=False)


def spanned(kernels: list[Kernel], *, groups: int) -> list[Kernel]:
    """Convolutions of one image to results of equal sizes, each on axes whose taps lie wherever one of them has taps.

    Zero padding may be widened, since it only adds zeros that are read; so may circular padding. Raises ValueError for
    kernels that step or pad differently.
    """
    every = [kernel.axes or () for kernel in kernels]
    modes = {
        kernel.mode
        for kernel, axes in zip(kernels, every, strict=True)
        if any(each.before or each.after for each in axes)
    }
    mode = modes.pop() if modes else "zeros"
    if modes or mode not in ("zeros", "circular"):
        raise ValueError("convolutions that pad differently are no one kernel")
    axes = tuple(_spanning(along) for along in zip(*every, strict=True))
    return [
        kernel._replace(weight=_placed(kernel, own, axes, groups), axes=axes, groups=groups, mode=mode)
        for kernel, own in zip(kernels, every, strict=True)
    ]


def _spanning(along: tuple[Axis, ...]) -> Axis:
    if len({(axis.size, axis.stride, axis.outputs) for axis in along}) > 1:
        raise ValueError("convolutions of other sizes or strides are no one kernel")
    (size, stride, outputs) = along[0].size, along[0].stride, along[0].outputs
    before = max(axis.before for axis in along)
    taps = before + max(axis.extent - axis.before for axis in along)
    return Axis(size, taps, before, max(0, (outputs - 1) * stride + taps - size - before), stride, 1)


def _placed(kernel: Kernel, own: tuple[Axis, ...], axes: tuple[Axis, ...], groups: int) -> np.ndarray:
    """The kernel [out, in/groups, *taps of `axes`], zero where it has no tap or its groups do not meet."""
    outputs, inputs = kernel.weight.shape[:2]
    joined, rows = kernel.groups // groups, outputs // kernel.groups
    placed = np.zeros((outputs, inputs * joined, *(axis.taps for axis in axes)))
    taps = [
        axis.before - each.before + each.dilation * np.arange(each.taps) for axis, each in zip(axes, own, strict=True)
    ]
    for group in range(kernel.groups):
        those = np.arange(group * rows, (group + 1) * rows)
        channels = group % joined * inputs + np.arange(inputs)
        placed[np.ix_(those, channels, *taps)] = kernel.weight[those]
    return placed
