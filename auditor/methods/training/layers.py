"""Layers of networks made to be certified (thesis 6.3.2, B.5): gradient norms survive them, so bounds stay tight."""

from __future__ import annotations

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


def orthogonal_(module: nn.Module, *, generator: torch.Generator | None = None) -> nn.Module:
    """Gives every dense and convolutional layer an orthogonal weight ([out, rest]) and a zero bias, in place.

    All singular values of a layer's matrix start at 1, so neither signal nor bound explodes with depth (thesis 6.3.2).
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            nn.init.orthogonal_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module
