"""Lipschitz constants of a network, from its weights alone: a walk over its graph, layer by layer (thesis 5.3, A.1).

A layer multiplies the constant of the value it takes; a sum adds those of its terms; a concatenation takes the root of
the sum of their squares, in the ∞-norm the largest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from auditor.errors import Unsupported
from auditor.methods.robustness.elementary import Assumed, Concatenation, Sum, joined_upper
from auditor.methods.robustness.error_steps import Step
from auditor.methods.robustness.evaluation_error import Arithmetic, EvaluationError, evaluation_error
from auditor.methods.robustness.folding import fold
from auditor.methods.robustness.graph import network
from auditor.methods.robustness.margins import margin_constants, scale_up
from auditor.methods.robustness.pieces import Piece
from auditor.methods.robustness.rounding import multiply_up, sqrt_up, up
from auditor.terms import Norm


class LayerBound(NamedTuple):
    """One layer's share in a bound: its name in the model, its type, and never less than its Lipschitz constant; 1 for
    a sum or a concatenation, which joins the paths to it. `assumed`: a user's word, not a proof.
    """

    name: str
    kind: str
    lipschitz_upper: float
    assumed: bool = False


class Bounds(NamedTuple):
    """What certification needs to know of a model, computed from its weights alone.

    `margins` [classes, classes], float64: entry [j, i] is never below the Lipschitz constant of f_j − f_i. `network`
    is never below that of the whole map to the logits. Both in `norm`. `error` bounds what floating point makes of the
    logits; under `arithmetic: float32`, of float32 (or float64) logits at x and of float32 logits at a neighbour
    together, and `growth` is by how much more for each unit of the neighbour's distance. `steps` tell of each node
    after the input what it adds. `assumed` holds what rests on a user's word: constants in the 2-norm, by module.
    """

    margins: Tensor
    network: float
    layers: tuple[LayerBound, ...]
    error: EvaluationError
    norm: Norm = "l2"
    growth: float = 0.0
    assumed: Mapping[str, float] = {}
    steps: tuple[Step, ...] = ()

    @property
    def reach(self) -> Tensor:
        """What a margin may lose for each unit of distance [classes, classes]: the change of the logits, and that of
        the error of evaluating them. This is the `margin_constants` of `certify`.
        """
        if self.growth == 0.0:
            return self.margins
        return scale_up(self.margins + multiply_up(sqrt_up(2.0), self.growth), 1.0).fill_diagonal_(0.0)


def margin_bounds(
    model: nn.Module, input_shape: tuple[int, ...], norm: Norm = "l2", *, assumed: Mapping[str, float] | None = None
) -> Tensor:
    """K [classes, classes], float64, zero on the diagonal: K[j, i] is never below the Lipschitz constant of f_j −
    f_i.

    `model` maps [batch, *input_shape] to logits [batch, classes]. Constants are in units of the input in `norm`,
    computed in float64 from the tensors that the eval forward pass uses. Raises Unsupported, naming the node, for what
    it cannot bound. `assumed` as in `bound_model`.
    """
    return bound_model(model, input_shape, norm, assumed=assumed).margins


def bound_model(
    model: nn.Module,
    input_shape: tuple[int, ...],
    norm: Norm = "l2",
    *,
    arithmetic: Arithmetic = "real",
    assumed: Mapping[str, float] | None = None,
) -> Bounds:
    """`margin_bounds` with the bounds of the single layers and the evaluation error beside it.

    `assumed` maps names of modules to Lipschitz constants in the 2-norm that the user vouches for, where there is no
    bound of ours.
    Under `arithmetic: float32` the bounds are about the float32 forward pass; weights that float32 does not hold are
    refused.
    """
    found = network(model, tuple(input_shape), assumed)
    last = found.nodes[-1]
    if len(last.output_shape) != 1 or len(found.nodes) == 1:
        raise Unsupported(
            f"the model's output has shape {last.output_shape} per input, expected one logit per class",
            node=last.name if last.layer is not None else "model",
            remedy="end the model in a dense layer, or flatten its output",
        )
    pieces = fold(found, norm)
    norms = [piece.lipschitz_upper(norm) for piece in pieces]
    reaches = reaches_upper(pieces, norms, norm)
    top = len(pieces) - 1
    layers = tuple(
        LayerBound(piece.name, type(piece.layer).__name__, bound, isinstance(piece.layer, Assumed))
        for piece, bound in zip(pieces, norms, strict=True)
    )
    margins = margin_constants(pieces, reaches, top, last.output_shape[0], norm)
    proved = zip(pieces, norms, strict=True) if norm == "l2" else ()
    rounding = evaluation_error(found, proved, arithmetic, model=model)
    stretch = 1.0 if norm == "l2" else sqrt_up(float(math.prod(found.nodes[0].output_shape)))
    error = rounding.error._replace(within=rounding.error.within / up(stretch))
    growth = multiply_up(rounding.growth, stretch)
    taken = {piece.name: piece.layer.lipschitz for piece in pieces if isinstance(piece.layer, Assumed)}
    return Bounds(margins, reaches[top], layers, error, norm, growth, taken, rounding.steps)


def reaches_upper(pieces: tuple[Piece, ...], norms: list[float], norm: Norm) -> list[float]:
    """Never below the Lipschitz constants from the network's input to each piece's output; the last entry, at −1, is
    the input's own, 1.
    """
    reaches = [0.0] * len(pieces) + [1.0]
    for place, (piece, bound) in enumerate(zip(pieces, norms, strict=True)):
        before = [reaches[each] for each in piece.inputs]
        if isinstance(piece.layer, (Sum, Concatenation)) and piece.weight is None and piece.index is None:
            reaches[place] = joined_upper(piece.layer, before, norm)
        else:
            reaches[place] = multiply_up(bound, before[0])
    return reaches
