"""Lipschitz constants of margins: how fast the lead of one class over another can change (thesis 5.3, A.1)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from auditor.errors import NotAvailable, Unsupported
from auditor.methods.robustness.chain import chain
from auditor.methods.robustness.elementary import PrependZero
from auditor.methods.robustness.evaluation_error import EvaluationError, evaluation_error
from auditor.methods.robustness.folding import Piece, fold
from auditor.methods.robustness.rounding import UNDERFLOW, gamma, multiply_up, scaled, sqrt_up
from auditor.terms import Norm


class LayerBound(NamedTuple):
    """One layer's share in a bound: its name in the model, its type, and never less than its Lipschitz constant."""

    name: str
    kind: str
    lipschitz_upper: float


class Bounds(NamedTuple):
    """What certification needs to know of a model, computed from its weights alone.

    `margins` [classes, classes], float64: entry [j, i] is never below the Lipschitz constant of f_j − f_i. `network`
    is never below that of the whole map to the logits. `error` bounds what float64 makes of the logits.
    """

    margins: Tensor
    network: float
    layers: tuple[LayerBound, ...]
    error: EvaluationError


def margin_bounds(model: nn.Module, input_shape: tuple[int, ...], norm: Norm = "l2") -> Tensor:
    """K [classes, classes], float64, zero on the diagonal: K[j, i] is never below the Lipschitz constant of f_j −
    f_i.

    `model` maps [batch, *input_shape] to logits [batch, classes] as one chain of layers. Constants are in units of
    the input in `norm`, computed in float64 from the tensors that the eval forward pass uses. Raises Unsupported,
    naming the node, for what it cannot bound, and NotAvailable for a norm that is still to come.
    """
    return bound_model(model, input_shape, norm).margins


def bound_model(model: nn.Module, input_shape: tuple[int, ...], norm: Norm = "l2") -> Bounds:
    """`margin_bounds` with the bounds of the single layers and the evaluation error beside it."""
    if norm != "l2":
        raise NotAvailable(f"Lipschitz bounds in {norm} are still to come", remedy="use norm: l2")
    steps = chain(model, tuple(input_shape))
    if not steps or len(steps[-1].output_shape) != 1:
        found = steps[-1].output_shape if steps else tuple(input_shape)
        raise Unsupported(
            f"the model's output has shape {found} per input, expected one logit per class",
            node=steps[-1].name if steps else "model",
            remedy="end the model in a dense layer, or flatten its output",
        )
    pieces = fold(steps)
    norms = [piece.lipschitz_upper() for piece in pieces]
    layers = tuple(
        LayerBound(piece.name, type(piece.layer).__name__, norm) for piece, norm in zip(pieces, norms, strict=True)
    )
    whole = multiply_up(*norms) if norms else 1.0
    head = _head(pieces)
    classes = steps[-1].output_shape[0]
    if head is None:
        # Lip(f_j − f_i) ≤ ‖e_j − e_i‖·Lip(f), tighter than K_i + K_j.
        margins = torch.full((classes, classes), multiply_up(sqrt_up(2.0), whole), dtype=torch.float64)
    else:
        rows, piece, place = head
        below = multiply_up(*norms[:place]) if place else 1.0
        margins = _scale_up(_row_distances_upper(rows, piece.entry_error), below)
    known = {
        (id(piece.layer), piece.input_shape): norm
        for piece, norm in zip(pieces, norms, strict=True)
        if piece.weight is not None and piece.entry_error == 0.0
    }
    return Bounds(margins.fill_diagonal_(0.0), whole, layers, evaluation_error(steps, known))


def _head(pieces: tuple[Piece, ...]) -> tuple[Tensor, Piece, int] | None:
    """The rows of the last dense layer, one per class, its piece and place; None where the network ends otherwise."""
    if not pieces:
        return None
    if pieces[-1].dense:
        assert pieces[-1].weight is not None
        return pieces[-1].weight, pieces[-1], len(pieces) - 1
    if isinstance(pieces[-1].layer, PrependZero) and len(pieces) > 1 and pieces[-2].dense:
        weight = pieces[-2].weight
        assert weight is not None
        return torch.cat((torch.zeros_like(weight[:1]), weight)), pieces[-2], len(pieces) - 2
    return None


def _row_distances_upper(rows: Tensor, entry_error: float) -> Tensor:
    """Never below ‖w_j − w_i‖₂ [classes, classes] for rows within a relative `entry_error`, nor above ‖w_j‖ + ‖w_i‖."""
    weight, exponent = scaled(rows.cpu())
    inflate = 1 + 2 * gamma(weight.shape[1] + 16)
    norms = (weight.square().sum(1) + UNDERFLOW).sqrt() * inflate
    squares = torch.stack([(weight - row).square().sum(1) for row in weight])
    sums = norms[:, None] + norms[None, :]
    distances = (squares + UNDERFLOW).sqrt() * inflate + entry_error * (1 + 1e-9) * sums
    if entry_error == 0.0:
        equal = torch.stack([(weight == row).all(1) for row in weight])
        distances = distances.masked_fill(equal, 0.0)
    distances = torch.minimum(distances, sums * (1 + entry_error)) * inflate
    return _times_power(distances, exponent)


def _times_power(values: Tensor, exponent: int) -> Tensor:
    """values · 2ᵉ, rounded up where that is not exact."""
    half = exponent // 2
    return _scale_up(_scale_up(values, 2.0**half), 2.0 ** (exponent - half))


def _scale_up(values: Tensor, factor: float) -> Tensor:
    """Non-negative values times a non-negative factor, rounded up; zero stays zero."""
    product = values * factor
    if factor == 0.0:
        return torch.zeros_like(values)
    return torch.where(values == 0, values, torch.nextafter(product, torch.full_like(product, torch.inf)))
