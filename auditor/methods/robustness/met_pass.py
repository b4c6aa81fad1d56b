"""The forward pass that says of each input how far its logits may lie from the exact ones, in float32 or float64.

`EvaluationError` takes the norm of every layer's input for the most that the weights allow; here the norms are those
that the pass meets, much less in deep networks, and taken as it goes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auditor.methods.robustness.arithmetic import check_true_float32, plain_convolutions
from auditor.methods.robustness.graph import Network
from auditor.methods.robustness.layer_error import DOUBLE, SINGLE, SLACK
from auditor.methods.robustness.lipschitz import Bounds
from auditor.methods.robustness.met_error import MetError, measured_norm, norm_line

NEGLIGIBLE = 1e-6
"""Share of its lead that the error of a row's logits may take unnoticed."""


class MetLogits(NamedTuple):
    """`logits` [rows, classes] and `error` [rows], float64: how far they lie from the exact ones in the 2-norm; of
    float32 logits the sum of that and of how far those of another float32 evaluation at the same inputs do. Infinite
    where unknown.
    """

    logits: Tensor
    error: Tensor


class MetPass:
    """A network ready to run in the arithmetic that `bounds`, its own, speak of: float64 for 'real'."""

    def __init__(self, network: Network, bounds: Bounds) -> None:
        if len(bounds.steps) != len(network.nodes) - 1:
            raise ValueError(
                f"the bounds speak of {len(bounds.steps)} layers, the network has {len(network.nodes) - 1}: "
                "bound the same model"
            )
        self.precision = SINGLE if bounds.error.unit == SINGLE.unit else DOUBLE
        made: dict[int, Any] = {}
        for node in network.nodes[1:]:
            made.setdefault(id(node.layer), copy.deepcopy(node.layer).to(self.precision.dtype))
        self.network = Network(
            (network.nodes[0], *(node._replace(layer=made[id(node.layer)]) for node in network.nodes[1:]))
        )
        self.error = MetError(network, bounds.steps, self.precision)
        longest = self.error.norms[0]
        self.limit = (bounds.error.limit - longest.offset) / longest.slope * (1 - 1e-9)

    def __call__(self, inputs: Tensor) -> MetLogits:
        """Of `inputs` [rows, *input], in that arithmetic, on the network's device. Raises Unsupported where a setting
        of torch makes float32 less than that.
        """
        if inputs.dtype != self.precision.dtype:
            raise ValueError(f"inputs are {inputs.dtype}, expected {self.precision.dtype}, of which the bounds speak")
        if self.precision is SINGLE:
            check_true_float32(inputs.device)
        measured: list[Tensor] = []
        value = inputs
        with plain_convolutions():
            for place, value in enumerate(self.network.values(inputs)):
                if place in self.error.places:
                    measured.append(measured_norm(value))
        error = self.error.at(measured)
        if self.precision is SINGLE:
            error = 2 * error
        return MetLogits(value, torch.where(error.isfinite() & (measured[0] <= self.limit), error, torch.inf))


def met_logits(run: MetPass, inputs: Tensor, *, device: torch.device | str = "cpu", batch: int = 256) -> MetLogits:
    """The same of any number of inputs, batch by batch on `device`, which holds the network; the result on the CPU."""
    parts = [run(part.to(device, run.precision.dtype)) for part in inputs.split(batch)]
    return MetLogits(*(torch.cat(each).cpu() for each in zip(*parts, strict=True)))


def sharpened_error(
    bounds: Bounds,
    inputs: Tensor,
    logits: Tensor,
    ready: Callable[[], MetPass],
    *,
    device: torch.device | str = "cpu",
    batch: int = 256,
) -> Tensor:
    """How far float64 `logits` [rows, classes] may lie from the exact ones [rows], of bounds for `arithmetic: real`:
    what the weights say, where that is next to nothing beside the lead of the highest class; else what another pass,
    made `ready` if there is need of one, says of its own logits, and how far apart the two are.
    """
    error = bounds.error.at(inputs.flatten(1).double().norm(dim=1))
    first, second = logits.topk(2, dim=1).values.unbind(1)
    loud = (~(error <= NEGLIGIBLE * (first - second))).nonzero().flatten()
    if len(loud):
        met = met_logits(ready(), inputs[loud], device=device, batch=batch)
        line = norm_line(logits.shape[1], DOUBLE)
        apart = line.slope * measured_norm(met.logits.to(logits) - logits[loud]) + line.offset
        error[loud] = torch.fmin(error[loud], (met.error.to(logits) + apart) * SLACK)
    return error
