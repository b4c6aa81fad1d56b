"""Whether a layer's stated bound is proved again, by its kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from auditor.certificate.norms import Axis, convolution_bounded, dense_bounded, norm_upper
from auditor.records.certificate import LayerProof

TOLERANCE = 1e-12
"""A layer's bound is proved up to this, relatively: the arithmetic of the reader is another than that of the run."""

FUNCTIONS = {
    "Abs": 1.0,
    "AlphaDropout": 1.0,
    "Dropout": 1.0,
    "Dropout1d": 1.0,
    "Dropout2d": 1.0,
    "Dropout3d": 1.0,
    "Flatten": 1.0,
    "Identity": 1.0,
    "MinMax": 1.0,
    "PixelShuffle": 1.0,
    "PixelUnshuffle": 1.0,
    "PrependZero": 1.0,
    "ReLU": 1.0,
    "Reshape": 1.0,
    "Sigmoid": 0.25,
    "Tanh": 1.0,
}
"""Lipschitz constants in the 2-norm of functions without weights: of slope at most 1 entry by entry, a rearrangement,
or a sorting of pairs."""


def proved(layer: LayerProof, tensors: Mapping[str, np.ndarray]) -> bool | None:
    """Whether `layer` is proved to stretch no distance in the 2-norm by more than it states, up to `TOLERANCE`.

    None where no proof is known here for its kind. Raises KeyError for a missing tensor or option.
    """
    limit = layer.lipschitz_upper * (1 + TOLERANCE)
    if math.isinf(limit):
        return limit > 0
    if layer.kind in FUNCTIONS:
        return limit >= FUNCTIONS[layer.kind]
    prove = PROOFS.get(layer.kind)
    return None if prove is None else prove(layer, tensors, limit)


def _dense(layer: LayerProof, tensors: Mapping[str, np.ndarray], limit: float) -> bool:
    weight = _weight(layer, tensors)
    if weight.shape != (layer.output_shape[-1], layer.input_shape[-1]):
        return False
    return dense_bounded(weight, limit, entry_error=layer.entry_error)


def _convolution(layer: LayerProof, tensors: Mapping[str, np.ndarray], limit: float) -> bool:
    weight, groups = _weight(layer, tensors), int(layer.options["groups"])
    axes = tuple(Axis(*axis) for axis in layer.options["axes"])
    shape = (weight.shape[0], *(axis.outputs for axis in axes))
    fits = (
        weight.shape[2:] == tuple(axis.taps for axis in axes)
        and layer.input_shape == (weight.shape[1] * groups, *(axis.size for axis in axes))
        and layer.output_shape == shape
    )
    return fits and convolution_bounded(
        weight, axes, limit, groups=groups, mode=layer.options["mode"], entry_error=layer.entry_error
    )


def _scale(layer: LayerProof, tensors: Mapping[str, np.ndarray], limit: float) -> bool:
    return float(np.abs(_weight(layer, tensors)).max(initial=0.0)) * (1 + layer.entry_error) <= limit


def _average_pooling(layer: LayerProof, tensors: Mapping[str, np.ndarray], limit: float) -> bool | None:
    options = layer.options
    if options["divisor_override"] is not None:
        return None
    norms = [
        norm_upper(_averages(size, *window, ceil=options["ceil_mode"], count_padding=options["count_include_pad"]))
        for size, *window in zip(
            layer.input_shape[1:], options["kernel_size"], options["stride"], options["padding"], strict=True
        )
    ]
    return math.prod(norms) <= limit


def _averages(size: int, kernel: int, stride: int, padding: int, *, ceil: bool, count_padding: bool) -> np.ndarray:
    """The matrix of one-dimensional average pooling, [outputs, size]."""
    room = size + 2 * padding - kernel
    outputs = (-(-room // stride) if ceil else room // stride) + 1
    if ceil and (outputs - 1) * stride >= size + padding:
        outputs -= 1
    matrix = np.zeros((outputs, size))
    for row in range(outputs):
        start = row * stride - padding
        stop = min(start + kernel, size + padding)
        inside = slice(max(start, 0), min(stop, size))
        matrix[row, inside] = 1 / (stop - start if count_padding else inside.stop - inside.start)
    return matrix


def _adaptive_average_pooling(layer: LayerProof, tensors: Mapping[str, np.ndarray], limit: float) -> bool:
    norms = []
    for size, outputs in zip(layer.input_shape[1:], layer.output_shape[1:], strict=True):
        matrix = np.zeros((outputs, size))
        for row in range(outputs):
            start, stop = row * size // outputs, -(-(row + 1) * size // outputs)
            matrix[row, start:stop] = 1 / (stop - start)
        norms.append(norm_upper(matrix))
    return math.prod(norms) <= limit


def _max_pooling(layer: LayerProof, tensors: Mapping[str, np.ndarray], limit: float) -> bool:
    """A value reaches at most so many windows; a maximum moves by no more than the largest change in its window."""
    windows = 1
    options = layer.options
    for kernel, stride, dilation in zip(options["kernel_size"], options["stride"], options["dilation"], strict=True):
        windows *= -(-((kernel - 1) * dilation + 1) // stride)
    return math.sqrt(windows) <= limit


def _leaky(layer: LayerProof, tensors: Mapping[str, np.ndarray], limit: float) -> bool:
    return max(1.0, abs(layer.options["negative_slope"])) <= limit


def _combination(layer: LayerProof, tensors: Mapping[str, np.ndarray], limit: float) -> bool:
    """What a sum or a concatenation adds to the paths it joins is counted by the walk."""
    return limit >= 1.0


def _weight(layer: LayerProof, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    if layer.weight is None:
        raise KeyError(f"{layer.name} names no weight")
    weight = tensors[layer.weight]
    if weight.dtype != np.float64 or not np.isfinite(weight).all():
        raise ValueError(f"{layer.weight} is not finite float64")
    return weight


Proof = Callable[[LayerProof, Mapping[str, Any], float], bool | None]

PROOFS: dict[str, Proof] = {
    "dense": _dense,
    "convolution": _convolution,
    "scale": _scale,
    "average pooling": _average_pooling,
    "adaptive average pooling": _adaptive_average_pooling,
    "max pooling": _max_pooling,
    "LeakyReLU": _leaky,
    "sum": _combination,
    "concatenation": _combination,
}
