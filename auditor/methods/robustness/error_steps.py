"""The steps by which the error of an evaluation grows through a network: one for each node, in their order.

A batch normalisation that alone takes what a dense or convolutional layer gives makes one step with it, from the
layer's input: ‖D·W‖ stretches what is off there, often far less than ‖D‖·‖W‖ would, and the bound of the network has
proved it already. The terms of a sum add their errors: √2 of them side by side would be more.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import nn

from auditor.methods.robustness.convolution import absolute_convolution_upper
from auditor.methods.robustness.dense import absolute_norm_upper
from auditor.methods.robustness.elementary import Sum
from auditor.methods.robustness.folding import after, as_piece
from auditor.methods.robustness.graph import Network, Node
from auditor.methods.robustness.layer_error import SLACK, LayerError, Precision, layer_error, weighted_error
from auditor.methods.robustness.operator_norms import CONVOLUTIONS, NORMALIZATIONS, exact_type
from auditor.methods.robustness.pieces import Piece
from auditor.methods.robustness.rounding import scaled, unscaled

Proved = Iterable[tuple[Piece, float]]
"""Pieces, each with a bound on its Lipschitz constant in the 2-norm."""


class Step(NamedTuple):
    """One node: `inputs`, the places of the values that it is a function of, summed where `summed`, else side by side;
    `entries` of its value; what it adds to the error.
    """

    inputs: tuple[int, ...]
    entries: int
    summed: bool
    layer: LayerError


def error_steps(network: Network, proved: Proved, precision: Precision) -> tuple[Step, ...]:
    """A step for each node after the input. Raises Unsupported for a layer whose accuracy is not stated."""
    proved = list(proved)
    # A piece that is a layer as it stands, by the layer and the shape of what it takes.
    known = {(id(piece.layer), piece.input_shape): bound for piece, bound in proved if piece.entry_error == 0.0}
    merged = _normalized(network, proved, precision)
    inner = {network.nodes[place].inputs[0] for place in merged}
    steps = []
    for place, node in enumerate(network.nodes[1:], start=1):
        inputs = node.inputs
        if place in merged:
            inputs, layer = network.nodes[inputs[0]].inputs, merged[place]
        elif place in inner:
            # Says where it overflows; its error is part of the next step. ‖W‖ ≤ ‖|W|‖, which costs nothing.
            layer = weighted_error(node, 0.0, precision)
            layer = layer._replace(stretch=layer.mass)
        else:
            layer = layer_error(node, known, precision)
        steps.append(Step(inputs, math.prod(node.output_shape), isinstance(node.layer, Sum), layer))
    return tuple(steps)


def _normalized(network: Network, proved: list[tuple[Piece, float]], precision: Precision) -> Mapping[int, LayerError]:
    """The places of the batch normalisations that make one step with the layer before them, and what it adds."""
    uses = Counter(each for node in network.nodes for each in node.inputs)
    found: dict[int, LayerError] = {}
    for place, node in enumerate(network.nodes[1:], start=1):
        before = network.nodes[node.inputs[0]]
        weighted = before.layer is not None and exact_type(before.layer) in (nn.Linear, *CONVOLUTIONS)
        if exact_type(node.layer) in NORMALIZATIONS and weighted and uses[node.inputs[0]] == 1:
            layer = _together(before, node, proved, precision)
            if layer is not None:
                found[place] = layer
    return found


def _together(
    weighted: Node, normalization: Node, proved: list[tuple[Piece, float]], precision: Precision
) -> LayerError | None:
    """Of z = s∘(Wx + b) + t. None where the two are not one kernel.

    Entry by entry ẑ errs by r_b(|s||ŷ| + |t|) and by |s| times what ŷ lacks, r_c(|W||x̂| + |b|), and |ŷ| is no more than
    (1 + r_c)(|W||x̂| + |b|): together by less than (r_c + r_b + r_c·r_b)(|s∘W||x̂| + |s∘b| + |t|).
    """
    piece = after(as_piece(weighted, (0,)), as_piece(normalization, (0,)))
    if piece is None or piece.weight is None:
        return None
    first = weighted_error(weighted, 0.0, precision)
    second = layer_error(normalization, {}, precision)
    if piece.axes is None:
        weight, exponent = scaled(piece.weight)
        mass = unscaled(absolute_norm_upper(weight[None]), exponent)
    else:
        mass = absolute_convolution_upper(piece.weight, piece.axes, groups=piece.groups, mode=piece.mode)
    relative = (first.relative + second.relative + first.relative * second.relative) * SLACK
    constant = second.mass * first.constant + second.constant
    # What underflows in ŷ is stretched by s.
    lost = 2 * second.mass * precision.tiny * math.sqrt(math.prod(normalization.output_shape)) / relative
    stretch = next((bound for other, bound in proved if _same(piece, other)), None)
    if stretch is None:
        stretch = piece.lipschitz_upper("l2")
    return LayerError(stretch, mass * SLACK, (constant + lost) * SLACK, constant * SLACK, relative)


def _same(piece: Piece, other: Piece) -> bool:
    """Whether both are one map, with the same uncertainty."""
    geometry = [(each.layer, each.input_shape, each.axes, each.mode, each.entry_error) for each in (piece, other)]
    if geometry[0] != geometry[1] or other.slack or piece.weight is None or other.weight is None:
        return False
    return piece.groups == other.groups and torch.equal(piece.weight, other.weight)
