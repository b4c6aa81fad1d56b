"""Linear maps of one value, summed or put one after the other, as one: x + conv(x) is the convolution whose kernel has
1 added at its centre.

The norm of the sum is what counts, and it is often far below the sum of the norms: a residual block of LiResNet (Hu et
al. 2023) is one convolution. So is that of the stack [A; B], which is below √(‖A‖² + ‖B‖²).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import torch
from torch import Tensor

from auditor.methods.robustness.convolution import Axis, absolute_convolution_upper
from auditor.methods.robustness.dense import absolute_norm_upper
from auditor.methods.robustness.origins import joined
from auditor.methods.robustness.pieces import Piece
from auditor.methods.robustness.rounding import UNIT, add_up, multiply_up, scaled, unscaled
from auditor.methods.robustness.supremum import convolution_row_sum_upper, row_sum_upper
from auditor.terms import Norm


def merge(first: Piece, first_sign: int, second: Piece, second_sign: int, norm: Norm) -> Piece | None:
    """first_sign · first + second_sign · second as one piece, for maps of one value to one shape; None where there is
    no kernel of the same kind.

    The sum of two entries is right up to one unit of the result, since float64 sums do not underflow. What the terms'
    own entries lack is relative to them, not to a sum in which they may cancel, so it becomes `slack`.
    """
    if (first.input_shape, first.output_shape) != (second.input_shape, second.output_shape):
        return None
    slack = add_up(_uncertainty(first, norm), _uncertainty(second, norm))
    if not math.isfinite(slack):
        return None
    origin = joined("sum", [first.origin, second.origin], signs=[first_sign, second_sign])
    if first.scale is not None and second.scale is not None:
        scale = first_sign * first.scale.cpu() + second_sign * second.scale.cpu()
        return replace(first, scale=scale, entry_error=2 * UNIT, slack=slack, origin=origin)
    if second.scale is None:
        weighted, scaling, signs = second, first, (second_sign, first_sign)
    else:
        weighted, scaling, signs = first, second, (first_sign, second_sign)
    if scaling.scale is not None:
        filled = _as_dense(scaling) if weighted.dense else _as_convolution(scaling, weighted)
        if filled is None:
            return None
        scaling = filled
    if weighted.dense and scaling.dense:
        assert weighted.weight is not None and scaling.weight is not None  # noqa: PT018
        weight = signs[0] * weighted.weight + signs[1] * scaling.weight.to(weighted.weight)
        return replace(weighted, weight=weight, entry_error=2 * UNIT, slack=slack, origin=origin)
    if weighted.dense or scaling.dense:
        return None
    made = _one_kernel(weighted, signs[0], scaling, signs[1], slack)
    return None if made is None else replace(made, origin=origin)


def stack(parts: Sequence[Piece], output_shape: tuple[int, ...], dim: int) -> Piece | None:
    """Maps of one value whose results follow one another along `dim`, counted with the batch, as one piece; None where
    there is no kernel of the same kind. Nothing is computed: entries keep their relative error.
    """
    like = next((part for part in parts if part.axes is not None), None)
    dense = like is None and dim == len(output_shape)
    if not dense and (like is None or dim != 1):
        return None
    filled = [
        part if part.scale is None else _as_dense(part) if like is None else _as_convolution(part, like)
        for part in parts
    ]
    kernels = [part for part in filled if part is not None and part.dense == dense]
    if len(kernels) < len(parts):
        return None
    made = replace(
        kernels[0],
        output_shape=output_shape,
        entry_error=max(part.entry_error for part in kernels),
        slack=add_up(*(part.slack for part in kernels)),
        origin=joined("stack", [part.origin for part in kernels]),
    )
    if dense:
        weights = [part.weight for part in kernels if part.weight is not None]
        return replace(made, weight=torch.cat([weight.to(weights[0]) for weight in weights]))
    mode = _common_mode(kernels)
    if mode is None:
        return None
    axes = tuple(reduce(_spanning, each) for each in zip(*(part.axes or () for part in kernels), strict=True))
    weights = [_on(part, axes, 1) for part in kernels]
    weight = torch.cat([weight.to(weights[0]) for weight in weights])
    return replace(made, weight=weight, axes=axes, groups=1, mode=mode)


def _uncertainty(piece: Piece, norm: Norm) -> float:
    """Never below the norm of what may be wrong with a piece's map."""
    if piece.entry_error == 0.0:
        return piece.slack
    if piece.scale is not None:
        magnitude = float(piece.scale.abs().max())
    else:
        assert piece.weight is not None
        if piece.axes is None and norm == "l2":
            weight, exponent = scaled(piece.weight)
            magnitude = unscaled(absolute_norm_upper(weight[None]), exponent)
        elif piece.axes is None:
            magnitude = row_sum_upper(piece.weight)
        else:
            upper = absolute_convolution_upper if norm == "l2" else convolution_row_sum_upper
            magnitude = upper(piece.weight, piece.axes, groups=piece.groups, mode=piece.mode)
    return add_up(multiply_up(piece.entry_error, magnitude), piece.slack)


def _as_dense(piece: Piece) -> Piece | None:
    """A scaling of features as a dense layer."""
    assert piece.scale is not None
    rows = piece.scale.reshape(-1, piece.input_shape[-1])
    return replace(piece, weight=torch.diag(rows[0]), scale=None) if bool((rows == rows[0]).all()) else None


def _as_convolution(piece: Piece, like: Piece) -> Piece | None:
    """A scaling of channels as a depthwise convolution of one tap, on the axes of `like`."""
    assert piece.scale is not None
    assert like.axes is not None
    flat = piece.scale.reshape(piece.scale.shape[0], -1)
    if any(axis.stride != 1 for axis in like.axes) or not bool((flat == flat[:, :1]).all()):
        return None
    axes = tuple(Axis(axis.size, 1, 0, 0, 1, 1) for axis in like.axes)
    weight = flat[:, 0].reshape(-1, 1, *[1] * len(axes))
    return replace(piece, weight=weight, scale=None, axes=axes, groups=len(weight))


def _one_kernel(first: Piece, first_sign: int, second: Piece, second_sign: int, slack: float) -> Piece | None:
    """The sum of two convolutions, where both step alike and read what lies outside of the input alike."""
    assert first.axes is not None
    assert second.axes is not None
    mode = _common_mode((first, second))
    if mode is None:
        return None
    groups = math.gcd(first.groups, second.groups)
    axes = tuple(_spanning(one, other) for one, other in zip(first.axes, second.axes, strict=True))
    kernels = [_on(piece, axes, groups) for piece in (first, second)]
    weight = first_sign * kernels[0] + second_sign * kernels[1].to(kernels[0])
    return replace(first, weight=weight, axes=axes, groups=groups, mode=mode, entry_error=2 * UNIT, slack=slack)


def _common_mode(pieces: Sequence[Piece]) -> str | None:
    """The padding mode of a convolution that does what several do; None where there is none.

    Bounds with repeated pixels are looser for one kernel than for its parts, so these are left alone.
    """
    axes = [piece.axes or () for piece in pieces]
    if len({tuple(axis.stride for axis in each) for each in axes}) > 1:
        return None
    modes = {
        piece.mode for piece, each in zip(pieces, axes, strict=True) if any(axis.before or axis.after for axis in each)
    }
    mode = modes.pop() if modes else "zeros"
    rings = all(axis.size % axis.stride == 0 for axis in axes[0])
    return mode if not modes and (mode == "zeros" or (mode == "circular" and rings)) else None


def _spanning(first: Axis, second: Axis) -> Axis:
    """The axis whose taps lie wherever one of two axes has taps; of equal stride and as many outputs."""
    before = max(first.before, second.before)
    reach = max(axis.extent - axis.before for axis in (first, second))
    taps = before + reach
    after = max(0, (first.outputs - 1) * first.stride + taps - first.size - before)
    return Axis(first.size, taps, before, after, first.stride, 1)


def _on(piece: Piece, axes: tuple[Axis, ...], groups: int) -> Tensor:
    """The piece's kernel [out, in/groups, *taps of `axes`], zero where it has no tap or its groups do not meet."""
    assert piece.weight is not None
    assert piece.axes is not None
    outputs, inputs = piece.weight.shape[:2]
    joined = piece.groups // groups
    kernel = piece.weight.new_zeros(outputs, inputs * joined, *(axis.taps for axis in axes))
    places = tuple(
        slice(axis.before - own.before, axis.before - own.before + own.extent, own.dilation)
        for axis, own in zip(axes, piece.axes, strict=True)
    )
    rows = outputs // piece.groups
    for group in range(piece.groups):
        own, start = slice(group * rows, (group + 1) * rows), (group % joined) * inputs
        kernel[(own, slice(start, start + inputs), *places)] = piece.weight[own]
    return kernel
