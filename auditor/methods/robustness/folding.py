"""Linear neighbours taken together, where that makes the bound smaller and costs nothing.

Batch normalisation in eval mode and input normalisation multiply each channel by a constant. Folded into the dense or
convolutional layer before or after it, only the product's norm counts: ‖D·W‖ ≤ ‖D‖·‖W‖, often far below.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from auditor.methods.robustness.chain import Step
from auditor.methods.robustness.elementary import Abs, PrependZero, Reshape, Scale
from auditor.methods.robustness.operator_norms import (
    CONVOLUTIONS,
    DROPOUTS,
    NORMALIZATION_ERROR,
    NORMALIZATIONS,
    exact_type,
    layer_norm_upper,
    normalization_scale,
)
from auditor.methods.robustness.rounding import UNIT, add_up, multiply_up


@dataclass(frozen=True)
class Piece:
    """A layer as it enters the bound: its weight (None where it has none) within a relative `entry_error` of the true
    one.

    `scale`: the factor of each entry, for a piece that only scales.
    """

    name: str
    layer: Any
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weight: Tensor | None = None
    scale: Tensor | None = None
    entry_error: float = 0.0

    @property
    def dense(self) -> bool:
        return exact_type(self.layer) is nn.Linear

    @property
    def transparent(self) -> bool:
        """Whether distances pass through it as they are: every entry stays in place, up to a constant."""
        kind = exact_type(self.layer)
        if self.scale is not None:
            return self.entry_error == 0.0
        return kind is nn.Identity or kind in DROPOUTS or (kind is nn.Flatten and self.input_shape == self.output_shape)

    def lipschitz_upper(self) -> float:
        """Never below the piece's Lipschitz constant in the 2-norm."""
        if self.scale is not None:
            return add_up(multiply_up(float(self.scale.abs().max()), add_up(1.0, self.entry_error)), SUBNORMAL)
        if isinstance(self.layer, (Abs, PrependZero, Reshape)):
            return 1.0
        return layer_norm_upper(
            self.layer, self.input_shape, weight=self.weight, entry_error=self.entry_error, node=self.name
        )


def fold(steps: tuple[Step, ...]) -> tuple[Piece, ...]:
    """The pieces of a chain, with every scaling folded into a neighbouring weight where there is one."""
    pieces: list[Piece] = []
    for piece in map(_piece, steps):
        if piece.transparent:
            continue
        last = pieces[-1] if pieces else None
        merged = None
        if last is not None and last.weight is not None and piece.scale is not None:
            merged = _after(last, piece)
        elif last is not None and last.scale is not None and piece.weight is not None:
            merged = _before(piece, last)
        elif last is not None and last.scale is not None and isinstance(piece.layer, (nn.Flatten, Reshape)):
            # Row-major rearrangement: scaling before it is the rearranged scaling after it.
            shape = piece.output_shape
            moved = replace(last, scale=last.scale.reshape(shape), input_shape=shape, output_shape=shape)
            pieces[-1:] = [piece, moved]
            continue
        if merged is None:
            pieces.append(piece)
        else:
            pieces[-1] = merged
    return tuple(pieces)


def _piece(step: Step) -> Piece:
    kind = exact_type(step.layer)
    piece = Piece(step.name, step.layer, step.input_shape, step.output_shape)
    if kind is nn.Linear or kind in CONVOLUTIONS:
        return replace(piece, weight=step.layer.weight.detach().double())
    if kind in NORMALIZATIONS:
        scale = normalization_scale(step.layer)
        shaped = scale.reshape(-1, *([1] * (len(step.input_shape) - 1))).expand(step.input_shape)
        return replace(piece, scale=shaped, entry_error=NORMALIZATION_ERROR)
    if isinstance(step.layer, Scale):
        scale = step.layer.per_entry(step.input_shape)
        return replace(piece, scale=scale, entry_error=0.0 if bool((scale == 1).all()) else 2 * UNIT)
    return piece


def _per_channel(scale: Tensor, channels_only: bool) -> Tensor | None:
    """One factor per channel (per feature of a dense layer), or None where a channel is not scaled as a whole."""
    if channels_only:
        flat = scale.reshape(scale.shape[0], -1)
        return flat[:, 0] if bool((flat == flat[:, :1]).all()) else None
    return scale if scale.ndim == 1 else None


def _merged_error(first: Piece, second: Piece) -> float:
    return add_up(first.entry_error, second.entry_error, multiply_up(first.entry_error, second.entry_error), 4 * UNIT)


def _after(piece: Piece, scaling: Piece) -> Piece | None:
    """`piece` followed by `scaling`: row o of the weight times the factor of output o."""
    assert piece.weight is not None
    assert scaling.scale is not None
    factors = _per_channel(scaling.scale, not piece.dense)
    if factors is None:
        return None
    weight = piece.weight * factors.reshape(-1, *([1] * (piece.weight.ndim - 1)))
    return _usable(piece, scaling, weight, factors)


def _before(piece: Piece, scaling: Piece) -> Piece | None:
    """`scaling` followed by `piece`: column i of the weight times the factor of input i."""
    assert piece.weight is not None
    assert scaling.scale is not None
    factors = _per_channel(scaling.scale, not piece.dense)
    if factors is None:
        return None
    if piece.dense:
        return _usable(piece, scaling, piece.weight * factors, factors)
    groups = piece.layer.groups
    outputs, inputs = piece.weight.shape[:2]
    per_output = factors.reshape(groups, 1, inputs).expand(groups, outputs // groups, inputs).reshape(outputs, inputs)
    weight = piece.weight * per_output.reshape(outputs, inputs, *([1] * (piece.weight.ndim - 2)))
    return _usable(piece, scaling, weight, factors)


def _usable(piece: Piece, scaling: Piece, weight: Tensor, factors: Tensor) -> Piece | None:
    """The folded piece, None where a product could leave the range in which its relative error is one unit."""
    assert piece.weight is not None
    magnitude = piece.weight.abs()
    ordinary = (magnitude == 0) | ((magnitude >= SMALLEST) & (magnitude <= 1 / SMALLEST))
    scales = (factors.abs() >= SMALLEST) & (factors.abs() <= 1 / SMALLEST)
    if not (bool(ordinary.all()) and bool(scales.all())):
        return None
    return replace(piece, weight=weight, entry_error=_merged_error(piece, scaling))


SUBNORMAL = 2.0**-1070
"""Above the absolute error of a factor that underflowed."""

SMALLEST = 2.0**-500
"""Factors between this and its inverse multiply without underflow or overflow."""
