"""How far computed logits can lie from the network's real-number logits: what rounding may take from a margin.

A layer takes a computed value x̂, ‖x̂ − x‖ ≤ e, to e' ≤ σ·e + γ_{n+2}(‖|W|‖·‖x̂‖ + ‖b‖) + underflow (Higham 3.5; n
terms a sum, any summation order, fused or not), with σ the layer's Lipschitz bound. ‖x̂‖ is bounded by the same
recursion from the norm of the input, so that the result is one line e ≤ slope·‖x‖ + offset for all inputs: at x, and
at every neighbour, whose norm is at most ‖x‖ + ε. Sums and concatenations join the errors of their terms.

`real` speaks of float64 logits at x alone: δ₆₄. `float32` speaks of two evaluations in float32, or one in float64 and
one in float32, which errs less: that at x, from which margins are read, and that at a neighbour x', which is to have
the same order. With e₃₂ the line of float32, the computed lead of j over i at x' is at least the computed lead at x
less K_ji‖x − x'‖ less √2·(e₃₂(‖x‖) + e₃₂(‖x‖ + ‖x − x'‖)); so e₃₂'s slope is also what each unit of distance costs
(`growth`), and 2·e₃₂(‖x‖) is what is subtracted at x.

The line takes ‖x_l‖ for the most that the weights allow. `met_pass` takes the norms that it meets, which is much less
in deep networks; how the error grows with the distance stays the same.

Presumes direct or im2col convolution: no Winograd, no FFT, no TF32.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from auditor.errors import Unsupported
from auditor.methods.robustness.error_steps import Proved, Step, error_steps
from auditor.methods.robustness.graph import Network
from auditor.methods.robustness.layer_error import DOUBLE, SINGLE, Line, Precision
from auditor.methods.robustness.rounding import UNIT, multiply_up

Arithmetic = Literal["real", "float32"]

SLACK = 1 + 1e-9
"""Covers the roundings of this recursion itself: fewer than 10⁶ operations on non-negative numbers, each off by u."""


class EvaluationError(NamedTuple):
    """‖computed logits − exact logits‖₂ ≤ `slope` · ‖x‖₂ + `offset` for every input x with ‖x‖₂ ≤ `limit`, beyond
    which something might overflow. `unit`: the unit roundoff of the coarsest arithmetic that this speaks of. `within`:
    the distance of a neighbour, in the norm of the certificate, up to which it is spoken of too.
    """

    slope: float
    offset: float
    limit: float = math.inf
    unit: float = UNIT
    within: float = math.inf

    def at(self, input_norms: Tensor) -> Tensor:
        """The bound for inputs of these 2-norms, float64 [batch]."""
        norms = input_norms.double()
        return torch.where(norms <= self.limit, (self.slope * norms + self.offset) * SLACK, torch.inf)


class Rounding(NamedTuple):
    """What to subtract at x, how much more per unit of a neighbour's distance in the 2-norm, and the steps of the
    recursion that it comes from.
    """

    error: EvaluationError
    growth: float
    steps: tuple[Step, ...]


def evaluation_error(
    network: Network, proved: Proved = (), arithmetic: Arithmetic = "real", *, model: nn.Module | None = None
) -> Rounding:
    """Raises Unsupported under `float32` for a layer whose float32 form has no stated accuracy, and where a tensor of
    `model` is not held exactly by float32, or computed in it: the float32 network would be another one.
    """
    if arithmetic == "real":
        steps = error_steps(network, proved, DOUBLE)
        return Rounding(_propagated(steps, DOUBLE), 0.0, steps)
    if model is not None:
        _check_held(model)
    steps = error_steps(network, proved, SINGLE)
    single = _propagated(steps, SINGLE)
    # A neighbour may be as long again as x before anything overflows.
    far = single.limit / 2
    error = EvaluationError(2 * single.slope, 2 * single.offset, far, SINGLE.unit, far)
    return Rounding(error, multiply_up(single.slope, SLACK), steps)


def _check_held(model: nn.Module) -> None:
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.dtype == torch.float64 and not torch.equal(tensor.float().double(), tensor):
            raise Unsupported(
                f"`{name}` is not exact in float32, so the float32 network is another one",
                node=name,
                remedy="save the model in float32, or use arithmetic: real",
            )
    for name, module in model.named_modules():
        for computed in getattr(module, "parametrizations", ()):
            raise Unsupported(
                f"`{computed}` of {name or 'the model'} is computed at every use, in float32 with an error of its own",
                node=name or "model",
                remedy="store it (torch.nn.utils.parametrize.remove_parametrizations), or use arithmetic: real",
            )


def _propagated(steps: tuple[Step, ...], precision: Precision) -> EvaluationError:
    """The error of running a network in `precision` on inputs that are exact in it."""
    sizes, errors = [Line(1.0, 0.0)], [Line(0.0, 0.0)]
    limit = math.inf
    for step in steps:
        size, error = (_joined(step, [lines[each] for each in step.inputs]) for lines in (sizes, errors))
        layer = step.layer
        within = size.plus(error).times(layer.mass).plus(layer.constant)
        limit = min(limit, within.below(precision.largest))
        lost = precision.tiny * math.sqrt(step.entries)
        errors.append(error.times(layer.stretch).plus(within.times(layer.relative)).plus(lost))
        sizes.append(size.times(layer.stretch).plus(layer.at_zero))
    return EvaluationError(errors[-1].slope * SLACK, errors[-1].offset * SLACK, limit)


def _joined(step: Step, lines: list[Line]) -> Line:
    """A bound on the norm, or the error, of all that a step takes."""
    if len(lines) == 1:
        return lines[0]
    slopes, offsets = zip(*lines, strict=True)
    return Line(sum(slopes), sum(offsets)) if step.summed else Line(math.hypot(*slopes), math.hypot(*offsets))
