"""The float32 forward pass that says of each input how far its logits may lie from the exact ones.

`EvaluationError` takes the norm of every layer's input for the most that the weights allow; here the norms are those
that the pass meets, much less in deep networks, and taken as it goes.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auditor.methods.robustness.arithmetic import check_true_float32, plain_convolutions
from auditor.methods.robustness.graph import Network
from auditor.methods.robustness.lipschitz import Bounds
from auditor.methods.robustness.met_error import MetError, measured_norm


class Float32Logits(NamedTuple):
    """`logits` [rows, classes], float32, and `error` [rows], float64: the sum of how far they lie from the exact ones
    in the 2-norm and how far those of another float32 evaluation at the same inputs do. Infinite where unknown.
    """

    logits: Tensor
    error: Tensor


class Float32Pass:
    """A network ready to run in float32; `bounds` are those of the same network with arithmetic='float32'."""

    def __init__(self, network: Network, bounds: Bounds) -> None:
        if len(bounds.single) != len(network.nodes) - 1:
            raise ValueError(
                f"the bounds have float32 figures of {len(bounds.single)} layers, the network has "
                f"{len(network.nodes) - 1}: bound the same model with arithmetic='float32'"
            )
        made: dict[int, Any] = {}
        for node in network.nodes[1:]:
            made.setdefault(id(node.layer), copy.deepcopy(node.layer).float())
        self.network = Network(
            (network.nodes[0], *(node._replace(layer=made[id(node.layer)]) for node in network.nodes[1:]))
        )
        self.error = MetError(network, bounds.single)
        longest = self.error.norms[0]
        self.limit = (bounds.error.limit - longest.offset) / longest.slope * (1 - 1e-9)

    def __call__(self, inputs: Tensor) -> Float32Logits:
        """Of `inputs` [rows, *input], float32, on the network's device. Raises Unsupported where a setting of torch
        makes float32 less than that.
        """
        if inputs.dtype != torch.float32:
            raise ValueError(f"inputs are {inputs.dtype}, expected float32")
        check_true_float32(inputs.device)
        measured: list[Tensor] = []
        value = inputs
        with plain_convolutions():
            for place, value in enumerate(self.network.values(inputs)):
                if place in self.error.places:
                    measured.append(measured_norm(value))
        error = 2 * self.error.at(measured)
        return Float32Logits(value, torch.where(error.isfinite() & (measured[0] <= self.limit), error, torch.inf))


def float32_logits(
    run: Float32Pass, inputs: Tensor, *, device: torch.device | str = "cpu", batch: int = 256
) -> Float32Logits:
    """The same of any number of inputs, batch by batch on `device`, which holds the network; the result on the CPU."""
    parts = [run(part.to(device)) for part in inputs.split(batch)]
    return Float32Logits(*(torch.cat(each).cpu() for each in zip(*parts, strict=True)))
