"""Linear maps folded again from the model's own tensors: products, sums and stacks of kernels, every rounding counted.

A certificate says how a kernel comes about (`Part`); nothing of it is believed but that. A product of two float64
numbers errs by one unit relatively unless it leaves the range of `ORDINARY`, a sum of two by one unit of the result.
What the terms of a sum lack is relative to them, not to a sum in which they may cancel, so it is kept as a norm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from auditor.certificate.kernel import Kernel, alike, per_channel, spanned
from auditor.certificate.norms import UNIT, Axis, whole
from auditor.records.certificate import LayerProof, Part

ORDINARY = (2.0**-500, 2.0**500)
"""Factors between these multiply without underflow or overflow."""

LEAST = Axis(size=1, taps=1, before=0, after=0, stride=1, dilation=1)

NORMALIZATION_ERROR = 8 * UNIT
"""Of gain / √(variance + eps): a sum, a root, a quotient."""


def kernel_of(layer: LayerProof, tensors: Mapping[str, np.ndarray], norm: str) -> Kernel:
    """The map of a dense layer, a convolution or a scaling. Raises KeyError, TypeError or ValueError where the
    certificate does not say one.
    """
    if layer.map is None:
        raise ValueError(f"{layer.name} does not say how it comes about")
    return _folded(layer.map, tensors, norm)


def _folded(part: Part, tensors: Mapping[str, np.ndarray], norm: str) -> Kernel:
    of = tuple(_folded(each, tensors, norm) for each in part.of)
    held = tuple(tensors[name] for name in part.tensors)
    return OPERATIONS[part.op](of, held, part.options, norm)


def _dense(of: tuple[Kernel, ...], held: tuple[np.ndarray, ...], options: dict[str, Any], norm: str) -> Kernel:
    (weight,) = map(numbers, held)
    if weight.ndim != 2:
        raise ValueError(f"a dense kernel has shape {weight.shape}")
    return Kernel(weight)


def _convolution(of: tuple[Kernel, ...], held: tuple[np.ndarray, ...], options: dict[str, Any], norm: str) -> Kernel:
    (weight,) = map(numbers, held)
    axes = tuple(Axis(*map(whole, axis, LEAST)) for axis in options["axes"])
    groups = whole(options["groups"], 1)
    if weight.shape[2:] != tuple(axis.taps for axis in axes) or len(weight) % groups:
        raise ValueError(f"a kernel of shape {weight.shape} does not fit its geometry")
    return Kernel(weight, axes, groups, str(options["mode"]))


def _normalization(of: tuple[Kernel, ...], held: tuple[np.ndarray, ...], options: dict[str, Any], norm: str) -> Kernel:
    variance, *gain = map(numbers, held)
    factors = (gain[0] if gain else 1.0) / np.sqrt(variance + float(options["eps"]))
    shape = tuple(options["shape"])
    factors = factors.reshape(-1, *[1] * (len(shape) - 1))
    return Kernel(np.broadcast_to(numbers(factors), shape), scaling=True, error=NORMALIZATION_ERROR)


def _scale(of: tuple[Kernel, ...], held: tuple[np.ndarray, ...], options: dict[str, Any], norm: str) -> Kernel:
    (factors,) = map(numbers, held)
    factors, shape = factors.reshape(options["view"]), tuple(options["shape"])
    if options["inverse"]:
        factors = numbers(1 / factors)
    if factors.ndim > len(shape):
        (factors,) = factors
    exact = bool((np.abs(factors) == 1).all())
    return Kernel(np.broadcast_to(factors, shape), scaling=True, error=0.0 if exact else 2 * UNIT)


def _identity(of: tuple[Kernel, ...], held: tuple[np.ndarray, ...], options: dict[str, Any], norm: str) -> Kernel:
    return Kernel(np.ones(tuple(options["shape"])), scaling=True)


def _gathered(of: tuple[Kernel, ...], held: tuple[np.ndarray, ...], options: dict[str, Any], norm: str) -> Kernel:
    """What is filled in rather than taken (index −1) may have any factor."""
    (scaling,), (index,) = of, held
    if not scaling.scaling or scaling.slack:
        raise ValueError("only the factors of a scaling are gathered")
    factors = scaling.weight.ravel()[np.maximum(index.ravel(), 0)]
    return scaling._replace(weight=factors.reshape(tuple(options["shape"])))


def _then(of: tuple[Kernel, ...], held: tuple[np.ndarray, ...], options: dict[str, Any], norm: str) -> Kernel:
    first, second = of
    scaling = second if second.scaling else first
    if not scaling.scaling or scaling.slack or (first.scaling and second.scaling and first.slack):
        raise ValueError("of two maps in a row one is a scaling")
    factors = scaling.weight
    kernel = second if scaling is first else first
    error = (first.error + second.error + first.error * second.error) * (1 + 4 * UNIT) + 4 * UNIT
    if not kernel.scaling:
        factors = _beside(kernel, factors, after=scaling is second)
    if kernel.scaling and factors.shape != kernel.weight.shape:
        raise ValueError(f"scalings of shapes {kernel.weight.shape} and {factors.shape} follow one another")
    weight = _ordinary(kernel.weight, zero=not kernel.scaling) * _ordinary(factors)
    stretch = float(np.abs(factors).max(initial=0.0)) * (1 + scaling.error) * (1 + 4 * UNIT)
    return kernel._replace(weight=weight, error=error, slack=kernel.slack * stretch * (1 + UNIT))


def _beside(kernel: Kernel, factors: np.ndarray, *, after: bool) -> np.ndarray:
    """The factor of each entry of a kernel, before or `after` which each channel, or feature, is scaled."""
    if kernel.axes is None and factors.ndim != 1:
        raise ValueError("a scaling that differs between positions is no part of a dense layer")
    factors = per_channel(factors)
    outputs, inputs = kernel.weight.shape[:2]
    if len(factors) != (outputs if after else inputs * kernel.groups):
        raise ValueError(f"{len(factors)} factors do not fit a kernel of shape {kernel.weight.shape}")
    single = [1] * (kernel.weight.ndim - 2)
    if after:
        return factors.reshape(-1, 1, *single)
    rows = np.repeat(factors.reshape(kernel.groups, 1, inputs), outputs // kernel.groups, axis=1)
    return rows.reshape(outputs, inputs, *single)


def _ordinary(values: np.ndarray, *, zero: bool = False) -> np.ndarray:
    size = np.abs(values)
    if not (((size >= ORDINARY[0]) & (size <= ORDINARY[1])) | (zero & (size == 0))).all():
        raise ValueError("a factor is too small or too large to be multiplied into its neighbour")
    return values


def _sum(of: tuple[Kernel, ...], held: tuple[np.ndarray, ...], options: dict[str, Any], norm: str) -> Kernel:
    first, second = alike(of)
    signs = [int(sign) for sign in options["signs"]]
    if sorted(map(abs, signs)) != [1, 1]:
        raise ValueError(f"signs are {signs}")
    slack = (first.uncertainty(norm) + second.uncertainty(norm)) * (1 + 2 * UNIT)
    if first.axes is not None:
        first, second = spanned([first, second], groups=math.gcd(first.groups, second.groups))
    if first.weight.shape != second.weight.shape:
        raise ValueError(f"kernels of shapes {first.weight.shape} and {second.weight.shape} are summed")
    return first._replace(weight=signs[0] * first.weight + signs[1] * second.weight, error=2 * UNIT, slack=slack)


def _stack(of: tuple[Kernel, ...], held: tuple[np.ndarray, ...], options: dict[str, Any], norm: str) -> Kernel:
    parts = alike(of)
    if parts[0].scaling:
        raise ValueError("scalings are not stacked")
    error, slack = max(part.error for part in parts), sum(part.slack for part in parts) * (1 + len(parts) * UNIT)
    if parts[0].axes is not None:
        parts = spanned(parts, groups=1)
    weight = np.concatenate([part.weight for part in parts])
    return parts[0]._replace(weight=weight, error=error, slack=slack)


def numbers(values: np.ndarray) -> np.ndarray:
    """As float64. Raises ValueError for numbers that are not finite, or no real floating point."""
    if values.dtype not in (np.float16, np.float32, np.float64) or not np.isfinite(values).all():
        raise ValueError("a tensor does not hold finite floating point numbers")
    return values.astype(np.float64)


Operation = Callable[[tuple[Kernel, ...], tuple[np.ndarray, ...], dict[str, Any], str], Kernel]

OPERATIONS: dict[str, Operation] = {
    "dense": _dense,
    "convolution": _convolution,
    "normalization": _normalization,
    "scale": _scale,
    "identity": _identity,
    "gathered": _gathered,
    "then": _then,
    "sum": _sum,
    "stack": _stack,
}
