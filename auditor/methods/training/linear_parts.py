"""The parts whose norms make a network's Lipschitz constant, as linear maps that read the live weights of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.methods.robustness.elementary import Scale
from auditor.methods.robustness.layer_kinds import CONVOLUTIONS, NORMALIZATIONS, TRANSPOSED, exact_type

WEIGHTED = (nn.Linear, *CONVOLUTIONS, *TRANSPOSED)
ADJOINTS = {
    nn.ConvTranspose1d: functional.conv_transpose1d,
    nn.ConvTranspose2d: functional.conv_transpose2d,
    nn.ConvTranspose3d: functional.conv_transpose3d,
}


class Moved(NamedTuple):
    """The scaling `layer` of values of `shape`, applied after their entries moved: entry i then is entry origin[i]."""

    layer: Any
    shape: tuple[int, ...]
    origin: Tensor


class Stacked(NamedTuple):
    """Linear maps of one value, whose results follow one another along `dim`."""

    maps: tuple[Part, ...]
    dim: int


class Branch(NamedTuple):
    """sign · (the linear parts of `layers`, one after the other): at most one that is weighted, and scalings."""

    sign: int
    layers: tuple[Any, ...]


@dataclass(frozen=True)
class Part:
    """One factor of the constant; `inputs` are the places of the parts whose values it takes, −1 the network's input.

    Of a linear map `branches`, which are summed; of a `join` the layer, which combines the constants of its inputs; of
    anything else a `factor` that no weight changes, or that of a `slope` that is learnt. `index` says which entry goes
    where, −1 none, for a part that only rearranges.
    """

    name: str
    inputs: tuple[int, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    branches: tuple[Branch, ...] = ()
    join: Any = None
    factor: float = 1.0
    slope: Any = None
    index: Tensor | None = None

    @property
    def kernels(self) -> tuple[Any, ...]:
        """The weighted layers, none in a map that only scales."""
        found: list[Any] = []
        for _, layers in self.branches:
            for layer in layers:
                if isinstance(layer, Stacked):
                    found.extend(kernel for part in layer.maps for kernel in part.kernels)
                elif not isinstance(layer, Moved) and exact_type(layer) in WEIGHTED:
                    found.append(layer)
        return tuple(found)

    @property
    def weighted(self) -> Any:
        """The first weighted layer, None in a map that only scales."""
        return next(iter(self.kernels), None)

    @property
    def single(self) -> bool:
        """Whether the map is one weighted layer and nothing else."""
        return [layers for _, layers in self.branches] == [(self.weighted,)] and self.branches[0].sign > 0

    @property
    def dense(self) -> bool:
        return self.weighted is not None and exact_type(self.weighted) is nn.Linear

    def __call__(self, v: Tensor) -> Tensor:
        """The linear map at v [batch, *input_shape], without biases."""
        total = None
        for sign, layers in self.branches:
            value = v
            for layer in layers:
                value = linear_part(layer, value)
            value = value if sign > 0 else -value
            total = value if total is None else total + value
        assert total is not None
        return total


def linear_part(layer: Any, v: Tensor) -> Tensor:
    """What a linear layer does to a difference of inputs: all but its bias. Differentiable in its weights."""
    if isinstance(layer, Stacked):
        return torch.cat([part(v) for part in layer.maps], layer.dim)
    if isinstance(layer, (Moved, Scale)) or exact_type(layer) in NORMALIZATIONS:
        return v * scale_of(layer, tuple(v.shape[1:])).to(v.dtype)
    kind = exact_type(layer)
    if kind is nn.Linear:
        return functional.linear(v, layer.weight.to(v.dtype))
    if kind in CONVOLUTIONS:
        return layer._conv_forward(v, layer.weight.to(v.dtype), None)
    geometry = layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation
    return ADJOINTS[kind](v, layer.weight.to(v.dtype), None, *geometry)


def scale_of(layer: Any, shape: tuple[int, ...]) -> Tensor:
    """The factors of a scaling, broadcast against values of `shape`; of batch normalisation those of eval mode, by the
    running variance as it stands.
    """
    if isinstance(layer, Moved):
        factors = scale_of(layer.layer, layer.shape).expand(layer.shape).flatten()
        return factors[layer.origin].reshape(shape)
    if isinstance(layer, Scale):
        return layer.per_entry(shape)
    scale = (layer.running_var + layer.eps).rsqrt()
    scale = scale if layer.weight is None else layer.weight * scale
    return scale.reshape(-1, *[1] * (len(shape) - 1))
