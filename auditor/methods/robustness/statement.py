"""A network's bounds with what another program needs to prove each again: kinds, geometry, weights."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn

from auditor.methods.robustness.chain import chain
from auditor.methods.robustness.folding import Piece, fold
from auditor.methods.robustness.lipschitz import Bounds
from auditor.methods.robustness.operator_norms import CONVOLUTIONS, convolution_axes, exact_type
from auditor.methods.robustness.pooling import spread


class Stated(NamedTuple):
    """One node of the network: `inputs` are positions among the nodes, -1 the network's input; `weight` float64,
    entries right up to a relative `entry_error`; `options` its geometry. Shapes are without the batch.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weight: Tensor | None
    entry_error: float
    options: dict[str, Any]
    lipschitz_upper: float


AVERAGE = (nn.AvgPool1d, nn.AvgPool2d)
ADAPTIVE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
MAXIMUM = (nn.MaxPool1d, nn.MaxPool2d)


def state(model: nn.Module, input_shape: tuple[int, ...], bounds: Bounds) -> tuple[Stated, ...]:
    """The nodes of `model` as its `bounds` in the 2-norm see them, scalings multiplied into their neighbours.

    Raises Unsupported, as `bound_model` does.
    """
    pieces = fold(chain(model, tuple(input_shape)))
    return tuple(
        _stated(piece, place, bound.lipschitz_upper)
        for place, (piece, bound) in enumerate(zip(pieces, bounds.layers, strict=True))
    )


def _stated(piece: Piece, place: int, lipschitz_upper: float) -> Stated:
    kind, options = _form(piece)
    weight = piece.weight if piece.weight is not None else piece.scale
    return Stated(
        piece.name,
        kind,
        (place - 1,),
        piece.input_shape,
        piece.output_shape,
        None if weight is None else weight.detach().double(),
        piece.entry_error,
        options,
        lipschitz_upper,
    )


def _form(piece: Piece) -> tuple[str, dict[str, Any]]:
    """Kind and geometry; a layer without geometry is known by its type."""
    layer, kind, axes = piece.layer, exact_type(piece.layer), len(piece.input_shape) - 1
    if piece.scale is not None:
        return "scale", {}
    if piece.dense:
        return "dense", {}
    if kind in CONVOLUTIONS:
        geometry = [list(axis) for axis in convolution_axes(layer, piece.input_shape)]
        return "convolution", {"axes": geometry, "groups": layer.groups, "mode": layer.padding_mode}
    if kind in AVERAGE:
        options = _windows(layer, axes, "kernel_size", "stride", "padding")
        options |= {"ceil_mode": layer.ceil_mode, "count_include_pad": layer.count_include_pad}
        return "average pooling", options | {"divisor_override": getattr(layer, "divisor_override", None)}
    if kind in ADAPTIVE:
        return "adaptive average pooling", {}
    if kind in MAXIMUM:
        return "max pooling", _windows(layer, axes, "kernel_size", "stride", "dilation")
    if kind is nn.LeakyReLU:
        return kind.__name__, {"negative_slope": float(layer.negative_slope)}
    return kind.__name__, {}


def _windows(layer: Any, axes: int, *names: str) -> dict[str, Any]:
    return {name: list(spread(getattr(layer, name), axes)) for name in names}
