"""Layers that separate into the axes of an image: pooling and linear interpolation, each axis a small matrix or its
windows.

Average pooling and interpolation are Kronecker products, whose norm is the product of their factors'. A maximum moves
by no more than the largest change in its window, so max pooling is bounded by how many windows see a pixel.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from auditor.certificate.norms import norm_upper, whole
from auditor.records.certificate import LayerProof

LONG = 2048
"""Positions up to which the matrix of an axis is proved by a factorisation."""


def pooling_upper(layer: LayerProof, norm: str) -> float | None:
    """Never below the constant of a layer of this room, None for another kind."""
    match layer.kind:
        case "average pooling":
            return _average_pooling(layer, norm)
        case "adaptive average pooling":
            return _product([_bins(size, outputs) for size, outputs in _sizes(layer)], norm)
        case "linear interpolation":
            corners, scales = layer.options["align_corners"], layer.options["scales"]
            return _product(
                [
                    _interpolation(size, outputs, corners, scale)
                    for (size, outputs), scale in zip(_sizes(layer), scales, strict=True)
                ],
                norm,
            )
        case "max pooling" | "adaptive max pooling":
            return 1.0 if norm == "linf" else _max_pooling(layer)
    return None


def _sizes(layer: LayerProof) -> list[tuple[int, int]]:
    """Positions before and after along each axis. Raises ValueError where channels or axes do not agree."""
    alike = len(layer.input_shape) == len(layer.output_shape) and layer.input_shape[0] == layer.output_shape[0]
    if not alike or len(layer.input_shape) < 2:
        raise ValueError(f"{layer.name} takes {layer.input_shape} and gives {layer.output_shape}")
    sizes = zip(layer.input_shape[1:], layer.output_shape[1:], strict=True)
    return [(whole(before, 1), whole(after, 1)) for before, after in sizes]


def _window(layer: LayerProof, axis: int, names: tuple[str, ...]) -> list[int]:
    """The geometry of a window along one axis."""
    return [whole(layer.options[name][axis], 0 if name == "padding" else 1) for name in names]


def _product(matrices: list[np.ndarray], norm: str) -> float:
    return math.prod(_axis_norm(matrix, norm) for matrix in matrices)


def _axis_norm(matrix: np.ndarray, norm: str) -> float:
    """Of a matrix without negative entries; a long one by √(‖A‖₁‖A‖_∞)."""
    rows = max(math.fsum(row) for row in matrix.tolist()) * (1 + 1e-14)
    if norm == "linf":
        return rows
    if max(matrix.shape) <= LONG:
        # Exact where the rank is 1, as with one output, while a proof needs room.
        return min(norm_upper(matrix), math.sqrt(math.fsum((matrix * matrix).ravel())) * (1 + 1e-14))
    return math.sqrt(rows * max(math.fsum(column) for column in matrix.T.tolist())) * (1 + 1e-14)


def _average_pooling(layer: LayerProof, norm: str) -> float:
    options = layer.options
    divisor, matrices = options["divisor_override"], []
    for axis, (size, outputs) in enumerate(_sizes(layer)):
        window = _window(layer, axis, ("kernel_size", "stride", "padding"))
        counted = divisor is not None or options["count_include_pad"]
        matrix = _averages(size, *window, ceil=options["ceil_mode"], count_padding=counted)
        if len(matrix) != outputs:
            raise ValueError(f"{layer.name} has {len(matrix)} windows, {outputs} are stated")
        matrices.append(matrix if divisor is None else np.sign(matrix))
    return _product(matrices, norm) / abs(divisor or 1)


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


def _bins(size: int, outputs: int) -> np.ndarray:
    """The matrix of one-dimensional adaptive average pooling, [outputs, size]."""
    matrix = np.zeros((outputs, size))
    for row in range(outputs):
        start, stop = row * size // outputs, -(-(row + 1) * size // outputs)
        matrix[row, start:stop] = 1 / (stop - start)
    return matrix


def _interpolation(size: int, outputs: int, align_corners: bool, scale: float | None) -> np.ndarray:
    """The matrix of one-dimensional linear interpolation, [outputs, size]: each output is the value at a position
    between two inputs, the positions as rational numbers. `scale`: by how much the layer was told to enlarge, None
    where the sizes say so.
    """
    if align_corners:
        step = Fraction(size - 1, outputs - 1) if outputs > 1 else Fraction(0)
    else:
        step = Fraction(size, outputs) if scale is None else 1 / Fraction(scale)
    matrix = np.zeros((outputs, size))
    for row in range(outputs):
        position = row * step if align_corners else max(Fraction(0), (row + Fraction(1, 2)) * step - Fraction(1, 2))
        left = min(int(position), size - 1)
        right, share = min(left + 1, size - 1), position - left
        matrix[row, left] += float(1 - share)
        matrix[row, right] += float(share)
    return matrix


def _max_pooling(layer: LayerProof) -> float:
    """The root of how many windows a pixel may lie in."""
    most = 1
    for axis, (size, outputs) in enumerate(_sizes(layer)):
        if layer.kind == "adaptive max pooling":
            seen = [range(row * size // outputs, -(-(row + 1) * size // outputs)) for row in range(outputs)]
        else:
            kernel, stride, padding, dilation = _window(layer, axis, ("kernel_size", "stride", "padding", "dilation"))
            reach = kernel * dilation
            starts = range(-padding, outputs * stride - padding, stride)
            seen = [range(start, start + reach, dilation) for start in starts]
        count = np.zeros(size, dtype=np.int64)
        for window in seen:
            count[[place for place in window if 0 <= place < size]] += 1
        most *= int(count.max())
    return math.sqrt(most)
