"""The float32 forward pass that says of each input how far its logits may lie from the exact ones.

`EvaluationError` takes the norm of every layer's input for the most that the weights allow; here the norms are those
that the pass meets, much less in deep networks, and taken as it goes. A value met is within e of the exact one, and
another float32 evaluation within e of that, so the recursion of `evaluation_error` runs on ‖met‖ + 2e.
"""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auditor.methods.robustness.arithmetic import check_true_float32, plain_convolutions
from auditor.methods.robustness.graph import Network
from auditor.methods.robustness.layer_error import SINGLE
from auditor.methods.robustness.lipschitz import Bounds

UPWARDS = 1 + 1e-12
"""Covers the few float64 roundings of one step of the recursion."""

LONG = 1 << 16
"""Entries beyond which a norm is summed in float64."""


class Float32Logits(NamedTuple):
    """`logits` [rows, classes], float32, and `error` [rows], float64: the sum of how far they lie from the exact ones
    in the 2-norm and how far those of another float32 evaluation at the same inputs do. Infinite where unknown.
    """

    logits: Tensor
    error: Tensor


class Float32Pass:
    """A network ready to run in float32; `bounds` are those of the same network with arithmetic='float32'."""

    def __init__(self, network: Network, bounds: Bounds) -> None:
        layers = bounds.single
        if len(layers) != len(network.nodes) - 1:
            raise ValueError(
                f"the bounds have float32 figures of {len(layers)} layers, the network has {len(network.nodes) - 1}: "
                "bound the same model with arithmetic='float32'"
            )
        made: dict[int, Any] = {}
        for node in network.nodes[1:]:
            made.setdefault(id(node.layer), copy.deepcopy(node.layer).float())
        self.network = Network(
            (network.nodes[0], *(node._replace(layer=made[id(node.layer)]) for node in network.nodes[1:]))
        )
        self.layers, self.limit = layers, bounds.error.limit
        self.wanted = {0} | {
            place
            for node, layer in zip(network.nodes[1:], layers, strict=True)
            if layer.relative and layer.mass
            for place in node.inputs
        }

    def __call__(self, inputs: Tensor) -> Float32Logits:
        """Of `inputs` [rows, *input], float32, on the network's device. Raises Unsupported where a setting of torch
        makes float32 less than that.
        """
        if inputs.dtype != torch.float32:
            raise ValueError(f"inputs are {inputs.dtype}, expected float32")
        check_true_float32(inputs.device)
        norms: dict[int, Tensor] = {}
        value = inputs
        with plain_convolutions():
            for place, value in enumerate(self.network.values(inputs)):
                if place in self.wanted:
                    norms[place] = norm_upper(value)
        error = 2 * UPWARDS * self._error(norms)
        return Float32Logits(value, torch.where(error.isfinite() & (norms[0] <= self.limit), error, torch.inf))

    def _error(self, norms: dict[int, Tensor]) -> Tensor:
        """Of the last node, for one evaluation."""
        errors = [torch.zeros_like(norms[0])]
        for node, layer in zip(self.network.nodes[1:], self.layers, strict=True):
            before = _length([errors[place] for place in node.inputs])
            error = layer.stretch * before + SINGLE.tiny * math.sqrt(math.prod(node.output_shape))
            if layer.relative and layer.mass:
                met = _length([norms[place] for place in node.inputs]) + 2 * before
                error = error + layer.relative * (layer.mass * met + layer.constant)
            elif layer.relative:
                error = error + layer.relative * layer.constant
            errors.append(error * UPWARDS)
        return errors[-1]


def float32_logits(
    run: Float32Pass, inputs: Tensor, *, device: torch.device | str = "cpu", batch: int = 256
) -> Float32Logits:
    """The same of any number of inputs, batch by batch on `device`, which holds the network; the result on the CPU."""
    parts = [run(part.to(device)) for part in inputs.split(batch)]
    return Float32Logits(*(torch.cat(each).cpu() for each in zip(*parts, strict=True)))


def norm_upper(values: Tensor) -> Tensor:
    """Never below the 2-norm of each row of float32 `values` [rows, ...], float64 [rows]; infinite on overflow.

    A float32 sum of n squares errs by γ_(n+1) in any order, its root by a unit more; each square that underflows lacks
    less than 2⁻¹²⁶.
    """
    flat = values.flatten(1)
    count = flat.shape[1]
    if count > LONG:
        return torch.linalg.vector_norm(flat, dim=1, dtype=torch.float64) * (1 + 1e-9)
    norms = torch.linalg.vector_norm(flat, dim=1).double()
    return norms * (1 + SINGLE.gamma(count + 4)) + 2.0**-62 * math.sqrt(count)


def _length(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.stack(parts).norm(dim=0) * UPWARDS
