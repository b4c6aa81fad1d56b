"""Differentiable estimates of Lipschitz constants by power iteration, for use during training only.

Power iteration approaches a norm from below (thesis alg. 6.1), so nothing here is a bound: reported constants come
from `auditor.methods.robustness.margin_bounds`. The gradient is that of ‖A v‖ with the iterate v held constant
(thesis 6.3.3); iterates persist between batches, so two iterations a batch follow the weights.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.errors import Unsupported
from auditor.methods.training.layers import MinMax

NORM_ONE = (MinMax, nn.ReLU, nn.Tanh, nn.Flatten, nn.PixelUnshuffle, nn.PixelShuffle, nn.Identity, nn.Dropout)
EARLY_STOP = 1e-4


class LinearNorm(nn.Module):
    """The spectral norm of one dense or convolutional layer, with its persistent power iterate `v`.

    The estimator is no part of the model, so a checkpoint never holds an iterate.
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d, input_shape: tuple[int, ...], generator: torch.Generator) -> None:
        super().__init__()
        self._layer = [layer]
        start = torch.randn(1, *input_shape, generator=generator)
        self.v: Tensor
        self.register_buffer("v", (start / start.norm()).to(layer.weight.device))

    @property
    def layer(self) -> nn.Linear | nn.Conv2d:
        return self._layer[0]

    def apply_layer(self, v: Tensor) -> Tensor:
        layer = self.layer
        if isinstance(layer, nn.Linear):
            return functional.linear(v, layer.weight)
        return functional.conv2d(v, layer.weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)

    def step(self) -> float:
        """One power iteration; returns the cosine between the iterate before and after."""
        with torch.enable_grad():
            v = self.v.clone().requires_grad_()
            (adjoint,) = torch.autograd.grad(self.apply_layer(v).square().sum() / 2, v)
        after = adjoint / adjoint.norm().clamp_min(1e-30)
        cosine = float((after * self.v).sum())
        self.v.copy_(after)
        return cosine

    def forward(self, iterations: int) -> Tensor:
        for _ in range(iterations):
            if 1 - self.step() < EARLY_STOP:
                break
        return self.apply_layer(self.v.clone()).norm()


class LipschitzEstimate(nn.Module):
    """K_ji of a sequential network: the product of its layers' norms below the head, times ‖w_j − w_i‖ of the head.

    `forward` returns the matrix [classes, classes]. Raises Unsupported for a layer that is neither linear nor of norm
    one; nn.Linear must come last.
    """

    def __init__(self, network: nn.Module, input_shape: tuple[int, ...], generator: torch.Generator) -> None:
        super().__init__()
        layers = list(_flatten(network, ""))
        if not layers or not isinstance(layers[-1][1], nn.Linear):
            raise Unsupported(
                "GloRo training needs a network that ends in nn.Linear",
                node=layers[-1][0] if layers else None,
                remedy="end the network in a dense layer that returns the logits",
            )
        self._head = [layers[-1][1]]
        self.norms = nn.ModuleList()
        device = layers[-1][1].weight.device
        x = torch.zeros(1, *input_shape, device=device)
        with torch.no_grad():
            for name, layer in layers[:-1]:
                if isinstance(layer, (nn.Linear, nn.Conv2d)):
                    if isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros":
                        raise Unsupported(
                            f"{name}: padding mode {layer.padding_mode!r} is not trained with yet", node=name
                        )
                    self.norms.append(LinearNorm(layer, tuple(x.shape[1:]), generator))
                elif type(layer) not in NORM_ONE:
                    raise Unsupported(
                        f"{name}: {type(layer).__name__} has no norm known to GloRo training",
                        node=name,
                        remedy="use nn.Linear, nn.Conv2d, MinMax, ReLU, Flatten, PixelUnshuffle",
                    )
                x = layer(x)

    def forward(self, iterations: int = 2) -> Tensor:
        below = torch.ones((), device=self._head[0].weight.device)
        for norm in self.norms:
            below = below * norm(iterations)
        weight = self._head[0].weight
        gram = weight @ weight.T
        squares = gram.diagonal()[:, None] + gram.diagonal()[None, :] - 2 * gram
        return below * squares.clamp_min(1e-12).sqrt()


def _flatten(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    if type(module) is nn.Sequential:
        for child_name, child in module.named_children():
            yield from _flatten(child, f"{name}.{child_name}" if name else child_name)
    else:
        yield name, module
