"""A network's bounds with what another program needs to prove each again: kinds, geometry, weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.methods.robustness.elementary import Assumed, Concatenation, Sum, Total
from auditor.methods.robustness.folding import fold
from auditor.methods.robustness.graph import network
from auditor.methods.robustness.lipschitz import Bounds
from auditor.methods.robustness.operator_norms import TRANSPOSED, convolution_axes, exact_type
from auditor.methods.robustness.origins import Origin, convolved
from auditor.methods.robustness.pieces import Piece
from auditor.methods.robustness.pooling import ADAPTIVE_AVERAGE, ADAPTIVE_MAXIMUM, MAXIMUM, spread
from auditor.methods.robustness.resampling import COPYING, PADDINGS, UPSAMPLINGS

AVERAGE = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
NUMBERS = {
    nn.LeakyReLU: {"slope": "negative_slope"},
    nn.ELU: {"slope": "alpha"},
    nn.RReLU: {"lower": "lower", "upper": "upper"},
    nn.CELU: {"alpha": "alpha"},
    nn.Softplus: {"beta": "beta", "threshold": "threshold"},
    nn.Softshrink: {"lambd": "lambd"},
    nn.Threshold: {"threshold": "threshold", "value": "value"},
}
"""What shapes an activation: the certificate's option and torch's attribute."""


class Stated(NamedTuple):
    """One node of the network: `inputs` are positions among the nodes, -1 the network's input; `options` its geometry.

    `origin`: how a dense layer, a convolution or a scaling comes about from tensors of the model. `weight`: of a
    selection the index of each output's entry, int64, -1 for a constant; of a PReLU its slopes. `assumed`: the constant
    in the 2-norm that the user vouches for. Shapes are without the batch.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    origin: Origin | None
    weight: Tensor | None
    options: dict[str, Any]
    assumed: float | None
    lipschitz_upper: float


def state(model: nn.Module, input_shape: tuple[int, ...], bounds: Bounds) -> tuple[Stated, ...]:
    """The nodes of `model` as its `bounds` see them, scalings multiplied into their neighbours.

    Raises Unsupported, as `bound_model` does.
    """
    pieces = fold(network(model, tuple(input_shape), bounds.assumed), bounds.norm)
    return tuple(_stated(piece, bound.lipschitz_upper) for piece, bound in zip(pieces, bounds.layers, strict=True))


def _stated(piece: Piece, lipschitz_upper: float) -> Stated:
    kind, weight, options = _form(piece)
    return Stated(
        name=piece.name,
        kind=kind,
        inputs=piece.inputs,
        input_shape=piece.input_shape,
        output_shape=piece.output_shape,
        origin=weight if isinstance(weight, Origin) else None,
        weight=weight.detach() if isinstance(weight, Tensor) else None,
        options=options,
        assumed=piece.layer.lipschitz if isinstance(piece.layer, Assumed) else None,
        lipschitz_upper=lipschitz_upper,
    )


def _form(piece: Piece) -> tuple[str, Origin | Tensor | None, dict[str, Any]]:
    """Kind, what it works with, and geometry; a layer without either is known by its type."""
    layer, kind = piece.layer, exact_type(piece.layer)
    if piece.scale is not None:
        return "scale", piece.origin, {}
    if piece.index is not None:
        return "selection", piece.index.flatten(), {}
    if piece.axes is not None:
        return "convolution", piece.origin, {}
    if piece.weight is not None:
        return "dense", piece.origin, {}
    if kind in TRANSPOSED:
        axes = convolution_axes(layer, piece.input_shape)
        return "transposed convolution", convolved(layer, layer.weight, axes, piece.name), {}
    if isinstance(layer, Sum):
        return "sum", None, {}
    if isinstance(layer, Concatenation):
        return "concatenation", None, {}
    if isinstance(layer, Assumed):
        return type(layer.module).__name__, None, {}
    if isinstance(layer, Total):
        return "total", None, {"mean": layer.mean}
    name = kind.__name__
    if kind in PADDINGS or (kind in UPSAMPLINGS and layer.mode in COPYING):
        return "selection", _copied(layer, piece.input_shape), {}
    if kind in UPSAMPLINGS:
        return "linear interpolation", None, _interpolated(layer, len(piece.input_shape) - 1)
    if kind is nn.PReLU:
        return name, layer.weight.double(), {}
    if kind is nn.GELU:
        return name, None, {"approximate": layer.approximate}
    shaped = {option: float(getattr(layer, given)) for option, given in NUMBERS.get(kind, {}).items()}
    return _pooling(piece) or (name, None, shaped)


def _copied(layer: Any, input_shape: tuple[int, ...]) -> Tensor:
    """Which entry of the input each entry of the output is, -1 for a constant: what the layer does to 1, 2, 3, …"""
    count = torch.Size(input_shape).numel()
    numbers = torch.arange(1, count + 1, dtype=torch.float64).reshape(1, *input_shape)
    constant = exact_type(layer) in PADDINGS and PADDINGS[exact_type(layer)][1] == "constant"
    moved = functional.pad(numbers, layer.padding) if constant else layer(numbers)
    return moved.flatten().to(torch.int64) - 1


def _interpolated(layer: Any, axes: int) -> dict[str, Any]:
    """By how much each axis was said to be enlarged; None where its sizes say so."""
    told = layer.scale_factor is not None and not layer.recompute_scale_factor
    scales = [float(each) for each in spread(layer.scale_factor, axes)] if told else [None] * axes
    return {"align_corners": bool(layer.align_corners), "scales": scales}


def _pooling(piece: Piece) -> tuple[str, None, dict[str, Any]] | None:
    layer, axes = piece.layer, len(piece.input_shape) - 1

    def windows(*names: str) -> dict[str, Any]:
        return {name: list(spread(getattr(layer, name), axes)) for name in names}

    if isinstance(layer, AVERAGE):
        options = windows("kernel_size", "stride", "padding")
        options |= {"ceil_mode": layer.ceil_mode, "count_include_pad": layer.count_include_pad}
        return "average pooling", None, options | {"divisor_override": getattr(layer, "divisor_override", None)}
    if isinstance(layer, ADAPTIVE_AVERAGE):
        return "adaptive average pooling", None, {}
    if isinstance(layer, ADAPTIVE_MAXIMUM):
        return "adaptive max pooling", None, {}
    if isinstance(layer, MAXIMUM):
        return "max pooling", None, windows("kernel_size", "stride", "padding", "dilation")
    return None
