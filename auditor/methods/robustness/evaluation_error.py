"""How far computed logits can lie from the network's real-number logits: what rounding may take from a margin.

A layer takes a computed value x̂, ‖x̂ − x‖ ≤ e, to e' ≤ σ·e + γ_{n+2}(‖|W|‖·‖x̂‖ + ‖b‖) + underflow (Higham 3.5; n
terms a sum, any summation order, fused or not), with σ the layer's Lipschitz bound. ‖x̂‖ is bounded by the same
recursion from the norm of the input, so that the result is one line e ≤ slope·‖x‖ + offset for all inputs: at x, and
at every neighbour, whose norm is at most ‖x‖ + ε. Sums and concatenations join the errors of their terms.

`real` speaks of float64 logits at x alone: δ₆₄. `float32` speaks of two evaluations: the float64 logits at x, from
which margins are read, and the float32 logits at a neighbour x', which are to have the same order. With e₆₄ and e₃₂
their lines, the computed lead of j over i at x' is at least the computed lead at x less K_ji‖x − x'‖ less
√2·(e₆₄(‖x‖) + e₃₂(‖x‖ + ‖x − x'‖)); so e₃₂'s slope is also what each unit of distance costs (`growth`).

The line takes ‖x_l‖ for the most that the weights allow. `rounding_at` runs the network and takes the norms it meets,
which is much less in deep networks; how the error grows with the distance stays the same.

Presumes direct or im2col convolution: no Winograd, no FFT, no TF32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from auditor.errors import Unsupported
from auditor.methods.robustness.graph import Network, Node
from auditor.methods.robustness.layer_error import DOUBLE, SINGLE, LayerError, Line, Precision, layer_error
from auditor.methods.robustness.rounding import multiply_up

Arithmetic = Literal["real", "float32"]

SLACK = 1 + 1e-9
"""Covers the roundings of this recursion itself: fewer than 10⁶ operations on non-negative numbers, each off by u."""

Known = Mapping[tuple[int, tuple[int, ...]], float]
"""Lipschitz bounds in the 2-norm already proved, by the layer's id and input shape."""


class EvaluationError(NamedTuple):
    """‖computed logits − exact logits‖₂ ≤ `slope` · ‖x‖₂ + `offset` for every input x with ‖x‖₂ ≤ `limit`, beyond
    which something might overflow.
    """

    slope: float
    offset: float
    limit: float = math.inf

    def at(self, input_norms: Tensor) -> Tensor:
        """The bound for inputs of these 2-norms, float64 [batch]."""
        norms = input_norms.double()
        return torch.where(norms <= self.limit, (self.slope * norms + self.offset) * SLACK, torch.inf)


def evaluation_error(
    network: Network, known: Known | None = None, arithmetic: Arithmetic = "real", *, model: nn.Module | None = None
) -> tuple[EvaluationError, float]:
    """The error to subtract at x, and how much it grows per unit of a neighbour's distance in the 2-norm.

    Raises Unsupported under `float32` for a layer whose float32 form has no stated accuracy, and where a tensor of
    `model` is not held exactly by float32: the float32 network would be another one.
    """
    double = _propagated(network, known or {}, DOUBLE)
    if arithmetic == "real":
        return double, 0.0
    if model is not None:
        _check_held(model)
    single = _propagated(network, known or {}, SINGLE)
    slope, offset = (double.slope + single.slope) * SLACK, (double.offset + single.offset) * SLACK
    # A neighbour may be as long again as x before anything overflows.
    return EvaluationError(slope, offset, single.limit / 2), multiply_up(single.slope, SLACK)


def rounding_at(network: Network, inputs: Tensor, arithmetic: Arithmetic = "float32", *, batch: int = 256) -> Tensor:
    """What to subtract at each of `inputs` [rows, *input], float64 [rows]: the error at x itself, from the norms that
    the values of the network have there. Raises Unsupported as `evaluation_error` does.
    """
    precisions = (DOUBLE,) if arithmetic == "real" else (DOUBLE, SINGLE)
    layers = [[layer_error(node, {}, precision) for node in network.nodes[1:]] for precision in precisions]
    found = [_met(network, part.to(torch.float64), precisions, layers) for part in inputs.split(batch) if len(part)]
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.float64)


def _met(network: Network, inputs: Tensor, precisions: tuple[Precision, ...], layers: list[list[LayerError]]) -> Tensor:
    """The errors of all `precisions` together at each input. A later precision's values are within its own error and
    those before it of the float64 ones met here.
    """
    norms = [value.flatten(1).norm(dim=1) * SLACK for value in network.values(inputs)]
    total = torch.zeros_like(norms[0])
    errors: list[list[Tensor]] = []
    for precision, each in zip(precisions, layers, strict=True):
        own = [torch.zeros_like(norms[0])]
        for node, layer in zip(network.nodes[1:], each, strict=True):
            error = _length([own[place] for place in node.inputs])
            computed = _length([norms[place] for place in node.inputs])
            for before in errors:
                computed = computed + _length([before[place] for place in node.inputs])
            fresh = layer.relative * (layer.mass * (computed + error) + layer.constant)
            entries = math.sqrt(math.prod(node.output_shape))
            own.append((layer.stretch * error + fresh + precision.tiny * entries) * (1 + 1e-12))
        errors.append(own)
        total = total + own[-1]
    return torch.where(total.isfinite(), total * SLACK, torch.inf)


def _length(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.stack(parts).norm(dim=0) * (1 + 1e-12)


def _check_held(model: nn.Module) -> None:
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.dtype == torch.float64 and not torch.equal(tensor.float().double(), tensor):
            raise Unsupported(
                f"`{name}` is not exact in float32, so the float32 network is another one",
                node=name,
                remedy="save the model in float32, or use arithmetic: real",
            )


def _propagated(network: Network, known: Known, precision: Precision) -> EvaluationError:
    """The error of running `network` in `precision` on inputs that are exact in it."""
    sizes, errors = [Line(1.0, 0.0)], [Line(0.0, 0.0)]
    limit = math.inf
    for node in network.nodes[1:]:
        size, error = _joined(node, [sizes[each] for each in node.inputs], [errors[each] for each in node.inputs])
        layer = layer_error(node, known, precision)
        entries = math.sqrt(math.prod(node.output_shape))
        within = size.plus(error).times(layer.mass).plus(layer.constant)
        limit = min(limit, within.below(precision.largest))
        errors.append(error.times(layer.stretch).plus(within.times(layer.relative)).plus(precision.tiny * entries))
        sizes.append(size.times(layer.stretch).plus(layer.at_zero))
    return EvaluationError(errors[-1].slope * SLACK, errors[-1].offset * SLACK, limit)


def _joined(node: Node, sizes: list[Line], errors: list[Line]) -> tuple[Line, Line]:
    """Bounds on the norm of what `node` takes, and on its error: of several values that of all of them together."""
    return _together(sizes), _together(errors)


def _together(lines: list[Line]) -> Line:
    if len(lines) == 1:
        return lines[0]
    return Line(math.hypot(*(line.slope for line in lines)), math.hypot(*(line.offset for line in lines)))
