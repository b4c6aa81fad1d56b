"""Whether a layer's stated bound is proved again, by its kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from auditor.certificate.axes import pooling_upper
from auditor.certificate.folding import numbers
from auditor.certificate.functions import largest_slope, parametric_slope
from auditor.certificate.kernel import Kernel
from auditor.certificate.norms import UNIT, Axis, convolution_bounded, dense_bounded, gamma
from auditor.records.certificate import LayerProof

Norm = Literal["l2", "linf"]

TOLERANCE = 1e-12
"""A layer's bound is proved up to this, relatively: the arithmetic of the reader is another than that of the run."""


def proved(
    layer: LayerProof, tensors: Mapping[str, np.ndarray], norm: Norm, kernel: Kernel | None = None
) -> bool | None:
    """Whether `layer`, of which `kernel` is the map if it is linear, is proved to stretch no distance in `norm` by more
    than it states, up to `TOLERANCE`; for an assumed constant, whether that implies it.

    None where no proof is known here for its kind. Raises KeyError for a missing tensor or option.
    """
    limit = layer.lipschitz_upper * (1 + TOLERANCE)
    if not 0 <= limit < math.inf:
        # No constant is negative, not even that of a layer that is zero: it would be taken from the others of a sum.
        return limit == math.inf
    if layer.assumed is not None:
        return layer.assumed * (1.0 if norm == "l2" else math.sqrt(math.prod(layer.input_shape))) <= limit
    if layer.kind in MAPS:
        prove, scaling = MAPS[layer.kind]
        return kernel is not None and kernel.scaling == scaling and prove(layer, kernel, limit - kernel.slack, norm)
    upper = largest_slope(layer.kind, layer.options)
    if upper is not None:
        return upper <= limit and _keeps(layer)
    upper = pooling_upper(layer, norm)
    if upper is not None:
        return upper <= limit
    by_kind = PROOFS.get(layer.kind)
    return None if by_kind is None else by_kind(layer, tensors, limit, norm)


def _keeps(layer: LayerProof) -> bool:
    """Whether a function gives as many entries as it takes, but for one that puts a zero before a single one."""
    if layer.kind == "PrependZero":
        return (layer.input_shape, layer.output_shape) == ((1,), (2,))
    return math.prod(layer.input_shape) == math.prod(layer.output_shape)


def _dense(layer: LayerProof, kernel: Kernel, limit: float, norm: Norm) -> bool:
    (*given, inputs), (*made, outputs) = layer.input_shape, layer.output_shape
    if kernel.axes is not None or given != made or kernel.weight.shape != (outputs, inputs):
        return False
    if norm == "linf":
        return _row_sums_within(kernel.weight, limit, kernel.error)
    return dense_bounded(kernel.weight, limit, entry_error=kernel.error)


def _convolution(layer: LayerProof, kernel: Kernel, limit: float, norm: Norm) -> bool:
    weight, groups, mode, axes = kernel.weight, kernel.groups, kernel.mode, kernel.axes
    given, made = layer.input_shape, layer.output_shape
    transposed = layer.kind == "transposed convolution"
    if transposed:
        # The adjoint of the convolution with this kernel, from its outputs to its inputs.
        given, made = made, given
    if axes is None or given != (weight.shape[1] * groups, *(axis.size for axis in axes)):
        return False
    if made != (weight.shape[0], *(axis.outputs for axis in axes)):
        return False
    if norm == "linf":
        if transposed:
            weight = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
            weight = weight.reshape(-1, *weight.shape[2:])
        sums = np.abs(weight).sum(1)
        for axis in axes:
            sums = np.tensordot(sums, _taps_seen(axis, mode, transposed=transposed), axes=(1, 1))
        return _row_sums_within(sums.reshape(-1, 1), limit * (1 - gamma(weight.size + 4)), kernel.error)
    return convolution_bounded(weight, axes, limit, groups=groups, mode=mode, entry_error=kernel.error)


def _taps_seen(axis: Axis, mode: str, *, transposed: bool) -> np.ndarray:
    """Which taps reach an output along one axis, 0 or 1 [kinds of outputs, taps]; with padding that repeats pixels any
    may.
    """
    if mode != "zeros":
        return np.ones((1, axis.taps))
    tap = axis.dilation * np.arange(axis.taps)[None, :]
    if transposed:
        # Output i of the adjoint meets tap t from the convolution's output o with stride·o − before + dilation·t = i.
        origin = np.arange(axis.size)[:, None] + axis.before - tap
        seen = (origin % axis.stride == 0) & (origin >= 0) & (origin < axis.stride * axis.outputs)
    else:
        read = axis.stride * np.arange(axis.outputs)[:, None] - axis.before + tap
        seen = (read >= 0) & (read < axis.size)
    return np.unique(seen, axis=0).astype(np.float64)


def _row_sums_within(matrix: np.ndarray, limit: float, entry_error: float) -> bool:
    """‖W‖∞ is the largest sum of magnitudes of a row."""
    largest = max((math.fsum(row) for row in np.abs(matrix).tolist()), default=0.0)
    return largest * (1 + entry_error) * (1 + 4 * UNIT) <= limit * (1 + TOLERANCE)


def _scale(layer: LayerProof, kernel: Kernel, limit: float, norm: Norm) -> bool:
    if kernel.weight.shape != layer.input_shape or layer.input_shape != layer.output_shape:
        return False
    return float(np.abs(kernel.weight).max(initial=0.0)) * (1 + kernel.error) <= limit


def _selection(layer: LayerProof, tensors: Mapping[str, np.ndarray], limit: float, norm: Norm) -> bool:
    """Entry i of the output is entry index[i] of the input, or a constant where that is -1."""
    index = tensors[layer.weight or ""].ravel()
    if index.size != math.prod(layer.output_shape) or index.max(initial=-1) >= math.prod(layer.input_shape):
        return False
    taken = index[index >= 0]
    if not taken.size:
        return limit >= 0.0
    return limit >= (1.0 if norm == "linf" else math.sqrt(int(np.bincount(taken).max())))


def _total(layer: LayerProof, tensors: Mapping[str, np.ndarray], limit: float, norm: Norm) -> bool:
    """Each output is the sum, or the mean, of as many entries."""
    count, rest = divmod(math.prod(layer.input_shape), math.prod(layer.output_shape))
    if rest or count < 1:
        return False
    exact = count if norm == "linf" else math.sqrt(count)
    return exact / (count if layer.options["mean"] else 1.0) <= limit


def _parametric(layer: LayerProof, tensors: Mapping[str, np.ndarray], limit: float, norm: Norm) -> bool:
    return parametric_slope(numbers(tensors[layer.weight or ""])) <= limit


def _combination(layer: LayerProof, tensors: Mapping[str, np.ndarray], limit: float, norm: Norm) -> bool:
    """What a sum or a concatenation adds to the paths it joins is counted by the walk."""
    return limit >= 1.0


Mapped = Callable[[LayerProof, Kernel, float, Norm], bool]

MAPS: dict[str, tuple[Mapped, bool]] = {
    "dense": (_dense, False),
    "convolution": (_convolution, False),
    "transposed convolution": (_convolution, False),
    "scale": (_scale, True),
}
"""Proofs of layers that are one kernel, and whether that is a scaling."""

Proof = Callable[[LayerProof, Mapping[str, np.ndarray], float, Norm], bool]

PROOFS: dict[str, Proof] = {
    "selection": _selection,
    "total": _total,
    "PReLU": _parametric,
    "Householder": lambda layer, tensors, limit, norm: limit >= (1.0 if norm == "l2" else math.sqrt(2.0)),
    "sum": _combination,
    "concatenation": _combination,
}
