"""Affine layers, all by one mechanism: y = Wz + b as torch computes it, |W|m + |b|, and the adjoint Wᵀa.

The adjoint of any layer comes from its vector-Jacobian product, so that no kind needs code of its own. `terms` counts
roundings: the computed value of each entry of Wz + b, of |W|m + |b| and of Wᵀa differs from the exact one by at most
γ_terms times the same expression in absolute values (Higham 3.1, any order of summation, fused or not), underflow
aside.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.methods.robustness.elementary import Concatenation, PrependZero, Scale, Selection, Sum, Total
from auditor.methods.robustness.graph import Node
from auditor.methods.robustness.layer_error import ELEMENTWISE
from auditor.methods.robustness.layer_kinds import CONVOLUTIONS, DROPOUTS, NORMALIZATIONS, REARRANGEMENTS, TRANSPOSED
from auditor.methods.robustness.linear_bounds.lowering import Computed
from auditor.methods.robustness.operator_norms import exact_type, normalization_scale
from auditor.methods.robustness.pooling import ADAPTIVE_AVERAGE, AVERAGE, spread
from auditor.methods.robustness.resampling import COPYING, PADDINGS, UPSAMPLINGS

STEPS = 16
"""Roundings of an entry beside those of its sum: of factors such as γ/√(var + ε), of shifts, of joining stages."""

TRANSPOSE = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)


class Affine(NamedTuple):
    """`value` and `absolute` take one tensor [batch, *shape] for each input of the node; `adjoint` takes coefficients
    [batch, *output shape] and gives those of each input. Weights may err by γ_terms · `smear` in each row, besides.
    `exact`: b is 0, and the adjoint only moves, negates or drops numbers. `moves`: so does the layer.
    """

    value: Callable[..., Tensor]
    absolute: Callable[..., Tensor]
    adjoint: Callable[[Tensor], tuple[Tensor, ...]]
    terms: int
    smear: float = 0.0
    exact: bool = False
    moves: bool = False

    def mass(self, *magnitudes: Tensor) -> Tensor:
        """What γ_terms multiplies, for inputs of at most these magnitudes [rows, *shape]: |W|m + |b|, and what weights
        that err absolutely can move.
        """
        total = self.absolute(*magnitudes)
        if not self.smear:
            return total
        largest = magnitudes[0].flatten(1).amax(1)
        return total + self.smear * largest.reshape(-1, *[1] * (total.ndim - 1))


def affine(node: Node, shapes: tuple[tuple[int, ...], ...]) -> Affine | None:
    """What `node` does to inputs of `shapes`, where it is affine; None where it is not, or not known to be."""
    found = _forms(node)
    if found is None:
        return None
    value, absolute, terms = found
    layer, kind = node.layer, exact_type(node.layer)
    if kind is nn.Linear:
        weight = layer.weight.detach()
        return Affine(value, absolute, lambda coefficients: (coefficients @ weight,), terms)
    if kind in CONVOLUTIONS and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        return Affine(value, absolute, _transposed(node), terms)
    if isinstance(layer, Sum):
        signs = layer.signs
        return Affine(value, absolute, lambda a: tuple(a if sign > 0 else -a for sign in signs), terms, exact=True)
    exact = isinstance(layer, (Concatenation, PrependZero)) or kind in REARRANGEMENTS or kind in DROPOUTS
    if isinstance(layer, Selection):
        exact = layer.fill == 0.0 and terms <= 2
    smear = 0.0
    if kind in UPSAMPLINGS and layer.mode not in COPYING:
        # Each weight errs by at most 8·size·u in three entries of a row and axis, forward and adjoint.
        axes = len(node.input_shape) - 1
        smear, terms = 2.0 * 3**axes, terms + 16 * max((*node.input_shape[1:], *node.output_shape[1:])) * axes
    return Affine(value, absolute, _pulled_back(value, shapes), terms, smear, exact, exact)


def _transposed(node: Node) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """The adjoint of a convolution with zero padding: the transposed convolution that gives back the input's sizes."""
    layer = node.layer
    axes = len(node.input_shape) - 1
    options = [spread(value, axes) for value in (layer.kernel_size, layer.stride, layer.padding, layer.dilation)]
    extra = [
        size - ((out - 1) * stride - 2 * padding + dilation * (taps - 1) + 1)
        for size, out, taps, stride, padding, dilation in zip(
            node.input_shape[1:], node.output_shape[1:], *options, strict=True
        )
    ]
    run, weight = TRANSPOSE[axes - 1], layer.weight.detach()
    return lambda a: (run(a, weight, None, layer.stride, layer.padding, extra, layer.groups, layer.dilation),)


def _pulled_back(value: Callable[..., Tensor], shapes: tuple[tuple[int, ...], ...]) -> Callable[..., Any]:
    def adjoint(coefficients: Tensor) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            zeros = [coefficients.new_zeros(len(coefficients), *shape).requires_grad_(True) for shape in shapes]
            return torch.autograd.grad(
                value(*zeros), zeros, coefficients, create_graph=coefficients.requires_grad, materialize_grads=True
            )

    return adjoint


def _forms(node: Node) -> tuple[Callable[..., Tensor], Callable[..., Tensor], int] | None:
    layer, kind = node.layer, exact_type(node.layer)
    if kind is nn.Linear or kind in CONVOLUTIONS or kind in TRANSPOSED:
        return _weighted(node)
    if kind in NORMALIZATIONS:
        return _normalization(node)
    if isinstance(layer, Scale):
        scale, shift = layer.scale.detach().double(), layer.shift.detach().double()
        units = ELEMENTWISE if isinstance(layer, Computed) else 0
        return layer, lambda m: m * scale.abs() + shift.abs(), units + STEPS
    if isinstance(layer, Selection):
        copies = torch.bincount(layer.index[layer.index >= 0])
        most = int(copies.max()) if copies.numel() else 0
        return layer, Selection(layer.index, layer.shape, abs(layer.fill)), most + 1
    if isinstance(layer, Total):
        return layer, layer, layer.terms(node.input_shape) + STEPS
    if isinstance(layer, Sum):
        return layer, Sum((1,) * len(layer.signs)), len(layer.signs)
    if isinstance(layer, (Concatenation, PrependZero)) or kind in REARRANGEMENTS or kind in DROPOUTS:
        kept = _out_of_place(layer)
        return kept, kept, 1
    sizes = max(math.prod(node.input_shape[1:]), math.prod(node.output_shape[1:])) + STEPS
    if kind in PADDINGS:
        magnitude = copy.copy(layer)
        if hasattr(layer, "value"):
            magnitude.value = abs(layer.value)
        return layer, magnitude, sizes
    if kind in AVERAGE or kind in ADAPTIVE_AVERAGE:
        magnitude = copy.copy(layer)
        if getattr(layer, "divisor_override", None) is not None:
            magnitude.divisor_override = abs(layer.divisor_override)
        return layer, magnitude, sizes
    if kind in UPSAMPLINGS:
        return layer, layer, sizes
    return None


def _out_of_place(layer: Any) -> Any:
    if not getattr(layer, "inplace", False):
        return layer
    kept = copy.copy(layer)
    kept.inplace = False
    return kept


def _weighted(node: Node) -> tuple[Callable[..., Tensor], Callable[..., Tensor], int]:
    """Sums go over the columns of W, in the adjoint over its rows: an output channel's kernel, an input channel's.
    Where padding repeats pixels, an entry of the adjoint gathers those of all its copies.
    """
    layer, kind = node.layer, exact_type(node.layer)
    weight = layer.weight.detach()
    bias = None if layer.bias is None else layer.bias.detach()
    magnitude, offset = weight.abs(), None if bias is None else bias.abs()
    rows, columns = weight.shape[0] * math.prod(weight.shape[2:]), weight[0].numel()
    if kind is nn.Linear:
        return (
            lambda z: functional.linear(z, weight, bias),
            lambda m: functional.linear(m, magnitude, offset),
            max(rows, columns) + STEPS,
        )
    if kind in TRANSPOSED:
        run = TRANSPOSE[TRANSPOSED.index(kind)]
        options = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
        terms = max(rows, columns) + STEPS
        return lambda z: run(z, weight, bias, *options), lambda m: run(m, magnitude, offset, *options), terms
    copies = 1
    if layer.padding_mode != "zeros":
        axes = len(node.input_shape) - 1
        widths = [0] * axes if layer.padding == "valid" else spread(layer.padding, axes)
        if layer.padding == "same":
            widths = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        copies = math.prod(2 * width + 1 for width in widths)
    terms = max(rows * copies, columns) + copies + STEPS
    forward = layer._conv_forward
    return lambda z: forward(z, weight, bias), lambda m: forward(m, magnitude, offset), terms


def _normalization(node: Node) -> tuple[Callable[..., Tensor], Callable[..., Tensor], int]:
    layer = node.layer
    shape = (-1, *[1] * (len(node.input_shape) - 1))
    scale = normalization_scale(layer).abs().reshape(shape)
    mean = layer.running_mean.detach().double().abs().reshape(shape)
    bias = 0.0 if layer.bias is None else layer.bias.detach().double().abs().reshape(shape)
    return layer, lambda m: (m + mean) * scale + bias, STEPS
