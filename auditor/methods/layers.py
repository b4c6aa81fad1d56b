"""Activations of networks made to be certified (thesis 6.3.2): gradient norms survive them, so bounds stay tight.

They lie below both rooms that know them, `robustness` and `training`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class MinMax(nn.Module):
    """Sorts each pair (channel i, channel i + c/2) of the c channels along `dim`: first all maxima, then all minima.

    GroupSort with groups of two (Anil et al. 2019), the thesis's min-max activation. It permutes its inputs, so it is
    1-Lipschitz in every p-norm and preserves the norm of gradients. Raises ValueError for an odd number of channels.
    """

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[self.dim] % 2:
            raise ValueError(f"MinMax needs an even number of channels along dim {self.dim}, found {x.shape[self.dim]}")
        first, second = x.chunk(2, dim=self.dim)
        return torch.cat((torch.maximum(first, second), torch.minimum(first, second)), dim=self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class GroupSort(nn.Module):
    """Sorts groups of `size` channels, largest first: channels i, i + c/size, i + 2c/size, … of the c along `dim`.

    Anil et al. (2019); groups of two make `MinMax`. It permutes its inputs, so it is 1-Lipschitz in every p-norm and
    preserves the norm of gradients. Raises ValueError where the groups do not fill the channels.
    """

    def __init__(self, size: int, dim: int = 1) -> None:
        super().__init__()
        self.size, self.dim = size, dim

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[self.dim]
        if channels % self.size:
            raise ValueError(f"GroupSort({self.size}) does not divide {channels} channels along dim {self.dim}")
        place = self.dim % x.ndim
        groups = x.unflatten(place, (self.size, channels // self.size))
        return groups.sort(dim=place, descending=True).values.flatten(place, place + 1)

    def extra_repr(self) -> str:
        return f"size={self.size}, dim={self.dim}"


class Householder(nn.Module):
    """Reflects each pair z = (channel i, channel i + c/2) along dim 1 that lies on the far side of a learnt line.

    z stays where z·v ≥ 0 and becomes z − 2(z·v)v elsewhere, v = (sin θᵢ/2, −cos θᵢ/2) (Singla et al. 2021, order 1);
    θ = π/2, the start, makes `MinMax`. Since v is a unit vector for every θ, the layer is continuous, 1-Lipschitz in
    the 2-norm and preserves the norm of gradients; in the ∞-norm it may stretch by √2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels % 2:
            raise ValueError(f"Householder needs an even number of channels, found {channels}")
        self.channels = channels
        self.theta = nn.Parameter(torch.full((channels // 2,), math.pi / 2))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.channels:
            raise ValueError(f"Householder was made for {self.channels} channels, found {x.shape[1]}")
        first, second = x.chunk(2, dim=1)
        half = (self.theta / 2).reshape(-1, *[1] * (x.ndim - 2))
        across, along = half.sin(), -half.cos()
        beyond = 2 * (first * across + second * along).clamp_max(0.0)
        return torch.cat((first - beyond * across, second - beyond * along), dim=1)

    def extra_repr(self) -> str:
        return f"channels={self.channels}"
