"""Linear neighbours taken together, where that makes the bound smaller and costs nothing.

Batch normalisation in eval mode and input normalisation multiply each channel by a constant. Folded into the dense or
convolutional layer before or after it, only the product's norm counts: ‖D·W‖ ≤ ‖D‖·‖W‖, often far below. Linear
branches that leave one value and are summed or concatenated become one kernel (`merging`), selections of one value that
are concatenated one selection, scalings in a row one scaling.

A piece that others take too is kept beside its folded form; what no path to the logits needs is dropped at the end.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from auditor.methods.robustness.elementary import Concatenation, Scale, Selection, Sum
from auditor.methods.robustness.graph import Network, Node
from auditor.methods.robustness.merging import merge, stack
from auditor.methods.robustness.operator_norms import (
    CONVOLUTIONS,
    NORMALIZATION_ERROR,
    NORMALIZATIONS,
    REARRANGEMENTS,
    convolution_axes,
    exact_type,
    normalization_scale,
)
from auditor.methods.robustness.origins import Origin, convolved, shaped, then
from auditor.methods.robustness.pieces import SMALLEST, Piece
from auditor.methods.robustness.rounding import UNIT, add_up, multiply_up
from auditor.terms import Norm


def fold(network: Network, norm: Norm = "l2") -> tuple[Piece, ...]:
    """The pieces of a network, in an order in which inputs come first; the last one gives the logits."""
    folding = _Folding(network.nodes[0].output_shape, norm)
    places = [-1]
    for node in network.nodes[1:]:
        places.append(folding.add(node, tuple(places[each] for each in node.inputs)))
    return _needed(folding.pieces, places[-1])


class _Folding:
    """Pieces so far; a place of −1 is the network's input."""

    def __init__(self, input_shape: tuple[int, ...], norm: Norm) -> None:
        self.input_shape = input_shape
        self.norm: Norm = norm
        self.pieces: list[Piece] = []

    def add(self, node: Node, inputs: tuple[int, ...]) -> int:
        """The place of the piece that gives `node`'s value."""
        piece = as_piece(node, inputs)
        if isinstance(node.layer, Sum):
            return self._sum(piece, node.layer.signs)
        if isinstance(node.layer, Concatenation):
            return self._concatenation(piece, node.layer.dim)
        return inputs[0] if piece.transparent else self._single(piece)

    def _append(self, piece: Piece) -> int:
        self.pieces.append(piece)
        return len(self.pieces) - 1

    def _single(self, piece: Piece) -> int:
        before = self.pieces[piece.inputs[0]] if piece.inputs[0] >= 0 else None
        if before is None:
            return self._append(piece)
        merged = None
        if before.weight is not None and piece.scale is not None:
            merged = after(before, piece)
        elif before.scale is not None and piece.weight is not None:
            merged = _before(piece, before)
        elif before.scale is not None and piece.scale is not None:
            merged = _twice(before, piece)
        elif isinstance(before.layer, Selection) and isinstance(piece.layer, Selection):
            index = torch.where(piece.layer.index < 0, -1, before.layer.index[piece.layer.index.clamp_min(0)])
            layer = Selection(index, piece.output_shape)
            merged = replace(piece, layer=layer, inputs=before.inputs, input_shape=before.input_shape, index=index)
        elif before.scale is not None and piece.index is not None:
            # Entries move alike before and after they are scaled; what is filled in takes any factor.
            shape, origin = piece.output_shape, None
            scale = before.scale.flatten()[piece.index.clamp_min(0)].reshape(shape)
            if before.origin is not None:
                origin = shaped("gathered", shape, piece.index, of=(before.origin,))
            place = self._append(replace(piece, inputs=before.inputs))
            return self._append(
                replace(before, scale=scale, inputs=(place,), input_shape=shape, output_shape=shape, origin=origin)
            )
        return self._append(piece if merged is None else merged)

    def _sum(self, piece: Piece, signs: tuple[int, ...]) -> int:
        """Terms that are linear in one value are merged; a sum of what is left, if that is more than one."""
        terms: list[tuple[int, int]] = []
        for sign, place in zip(signs, piece.inputs, strict=True):
            for number, (other_sign, other) in enumerate(terms):
                merged = self._merged(piece, (other_sign, other), (sign, place))
                if merged is not None:
                    terms[number] = (1, self._append(merged))
                    break
            else:
                terms.append((sign, place))
        if len(terms) == 1 and terms[0][0] == 1:
            return terms[0][1]
        layer = Sum(tuple(sign for sign, _ in terms))
        return self._append(replace(piece, layer=layer, inputs=tuple(place for _, place in terms)))

    def _merged(self, total: Piece, first: tuple[int, int], second: tuple[int, int]) -> Piece | None:
        for one in self._linear(total, first[1]):
            for other in self._linear(total, second[1]):
                if one.inputs == other.inputs:
                    merged = merge(one, first[0], other, second[0], self.norm)
                    if merged is not None:
                        return merged
        return None

    def _linear(self, total: Piece, place: int) -> list[Piece]:
        """What the value at `place` is as a linear map: of itself, and of the value it is computed from."""
        shape = self._shape(place)
        ones = torch.ones(shape, dtype=torch.float64)
        alone = Scale(torch.ones(()), torch.zeros(()))
        found = [Piece(total.name, alone, (place,), shape, shape, scale=ones, origin=shaped("identity", shape))]
        if place >= 0 and (self.pieces[place].weight is not None or self.pieces[place].scale is not None):
            found.append(self.pieces[place])
        return found

    def _shape(self, place: int) -> tuple[int, ...]:
        return self.pieces[place].output_shape if place >= 0 else self.input_shape

    def _concatenation(self, piece: Piece, dim: int) -> int:
        """Selections of one value, joined, are a selection of it; linear maps of one value are one map."""
        first = piece.inputs[0]
        for source in (first, *(self.pieces[first].inputs if first >= 0 else ())):
            indices = [self._index(place, source) for place in piece.inputs]
            found = [each for each in indices if each is not None]
            if len(found) == len(indices):
                index = torch.cat(found, dim - 1).flatten()
                layer = Selection(index, piece.output_shape)
                shape = self._shape(source)
                return self._append(replace(piece, layer=layer, inputs=(source,), input_shape=shape, index=index))
        runs = [[self._linear(piece, place)] for place in piece.inputs]
        joined: list[tuple[int, list[list[Piece]]]] = []
        for place, run in zip(piece.inputs, runs, strict=True):
            both = [*joined[-1][1], *run] if joined else run
            if len(both) > 1 and (made := self._stacked(piece, both, dim)) is not None:
                joined[-1] = (self._append(made), both)
            else:
                joined.append((place, run))
        if len(joined) == 1:
            return joined[0][0]
        return self._append(replace(piece, inputs=tuple(place for place, _ in joined)))

    def _stacked(self, total: Piece, run: list[list[Piece]], dim: int) -> Piece | None:
        """Neighbours in a concatenation as one piece, from what each may be as a linear map."""
        for source in dict.fromkeys(each.inputs for each in run[0]):
            parts = [next((each for each in forms if each.inputs == source), None) for forms in run]
            found = [each for each in parts if each is not None]
            if len(found) == len(run):
                size = sum(each.output_shape[dim - 1] for each in found)
                shape = (*total.output_shape[: dim - 1], size, *total.output_shape[dim:])
                made = stack(found, shape, dim)
                if made is not None:
                    return made
        return None

    def _index(self, place: int, source: int) -> Tensor | None:
        """Which entries of the value at `source` those at `place` are, of its shape; None where it is computed."""
        if place == source:
            shape = self._shape(place)
            return torch.arange(math.prod(shape)).reshape(shape)
        part = self.pieces[place] if place >= 0 else None
        if part is None or part.index is None or part.inputs != (source,):
            return None
        return part.index.cpu().reshape(part.output_shape)


def _needed(pieces: list[Piece], result: int) -> tuple[Piece, ...]:
    wanted = {result} - {-1}
    for place in range(result, -1, -1):
        if place in wanted:
            wanted.update(each for each in pieces[place].inputs if each >= 0)
    places = {-1: -1} | {old: new for new, old in enumerate(sorted(wanted))}
    return tuple(
        replace(pieces[old], inputs=tuple(places[each] for each in pieces[old].inputs)) for old in sorted(wanted)
    )


def as_piece(node: Node, inputs: tuple[int, ...]) -> Piece:
    layer, kind = node.layer, exact_type(node.layer)
    piece = Piece(node.name, layer, inputs, node.input_shape, node.output_shape)
    if kind is nn.Linear:
        weight = layer.weight.detach().double()
        return replace(piece, weight=weight, origin=Origin("dense", tensors=(weight,), hints=(f"{node.name}.weight",)))
    if kind in CONVOLUTIONS:
        axes = convolution_axes(layer, node.input_shape)
        weight = layer.weight.detach().double()
        origin = convolved(layer, weight, axes, node.name)
        return replace(piece, weight=weight, axes=axes, groups=layer.groups, mode=layer.padding_mode, origin=origin)
    if kind in NORMALIZATIONS:
        scale = normalization_scale(layer)
        spread = scale.reshape(-1, *([1] * (len(node.input_shape) - 1))).expand(node.input_shape)
        gain = () if layer.weight is None else (layer.weight.detach(),)
        hints = (f"{node.name}.running_var", f"{node.name}.weight")
        origin = shaped("normalization", node.input_shape, layer.running_var, *gain, hints=hints, eps=float(layer.eps))
        return replace(piece, scale=spread, entry_error=NORMALIZATION_ERROR, origin=origin)
    if isinstance(layer, Scale):
        scale = layer.per_entry(node.input_shape)
        exact = bool((scale.abs() == 1).all())
        factors = layer.scale if layer.divisor is None else layer.divisor
        view, inverse = list(factors.shape), factors is not layer.scale
        origin = shaped("scale", node.input_shape, factors, view=view, inverse=inverse)
        return replace(piece, scale=scale, entry_error=0.0 if exact else 2 * UNIT, origin=origin)
    if isinstance(layer, Selection):
        return replace(piece, index=layer.index)
    if kind in REARRANGEMENTS:
        count = torch.Size(node.input_shape).numel()
        numbers = torch.arange(count, dtype=torch.float64).reshape(1, *node.input_shape)
        return replace(piece, index=layer(numbers).flatten().to(torch.int64))
    return piece


def _twice(first: Piece, second: Piece) -> Piece | None:
    """Two scalings as one, where their product is as right as two roundings make it."""
    assert first.scale is not None
    assert second.scale is not None
    if first.slack or second.slack or not (_ordinary(first.scale).all() and _ordinary(second.scale).all()):
        return None
    scale = first.scale.to(second.scale) * second.scale
    return replace(
        second,
        inputs=first.inputs,
        scale=scale,
        entry_error=_merged_error(first, second),
        origin=then(first.origin, second.origin),
    )


def _ordinary(values: Tensor) -> Tensor:
    """Where numbers are such that the product of two neither underflows nor overflows. A factor of 0 is not: it may be
    what underflow left of another number.
    """
    magnitude = values.abs()
    return (magnitude >= SMALLEST) & (magnitude <= 1 / SMALLEST)


def _per_channel(scale: Tensor, channels_only: bool) -> Tensor | None:
    """One factor per channel (per feature of a dense layer), or None where a channel is not scaled as a whole."""
    if channels_only:
        flat = scale.reshape(scale.shape[0], -1)
        return flat[:, 0] if bool((flat == flat[:, :1]).all()) else None
    return scale if scale.ndim == 1 else None


def _merged_error(first: Piece, second: Piece) -> float:
    return add_up(first.entry_error, second.entry_error, multiply_up(first.entry_error, second.entry_error), 4 * UNIT)


def after(piece: Piece, scaling: Piece) -> Piece | None:
    """`piece` followed by `scaling`: row o of the weight times the factor of output o."""
    assert piece.weight is not None
    assert scaling.scale is not None
    factors = _per_channel(scaling.scale, piece.axes is not None)
    if factors is None:
        return None
    weight = piece.weight * factors.reshape(-1, *([1] * (piece.weight.ndim - 1)))
    return _usable(piece, scaling, weight, factors, then(piece.origin, scaling.origin))


def _before(piece: Piece, scaling: Piece) -> Piece | None:
    """`scaling` followed by `piece`: column i of the weight times the factor of input i."""
    assert piece.weight is not None
    assert scaling.scale is not None
    factors = _per_channel(scaling.scale, piece.axes is not None)
    if factors is None:
        return None
    if piece.axes is None:
        weight = piece.weight * factors
    else:
        outputs, inputs = piece.weight.shape[:2]
        per_output = factors.reshape(piece.groups, 1, inputs).expand(piece.groups, outputs // piece.groups, inputs)
        weight = piece.weight * per_output.reshape(outputs, inputs, *([1] * (piece.weight.ndim - 2)))
    merged = _usable(piece, scaling, weight, factors, then(scaling.origin, piece.origin))
    return None if merged is None else replace(merged, inputs=scaling.inputs)


def _usable(piece: Piece, scaling: Piece, weight: Tensor, factors: Tensor, origin: Origin | None) -> Piece | None:
    """The folded piece, None where a product could leave the range in which its relative error is one unit."""
    assert piece.weight is not None
    exact = _ordinary(piece.weight) | (piece.weight == 0)
    if not (bool(exact.all()) and bool(_ordinary(factors).all())) or scaling.slack:
        return None
    stretch = multiply_up(float(factors.abs().max()), add_up(1.0, scaling.entry_error))
    slack = multiply_up(piece.slack, stretch) if piece.slack else 0.0
    return replace(piece, weight=weight, entry_error=_merged_error(piece, scaling), slack=slack, origin=origin)
