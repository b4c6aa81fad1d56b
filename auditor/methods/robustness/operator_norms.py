"""How much one layer can stretch a distance: upper bounds in the 2-norm, proved, for each layer type by its exact
type.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from auditor.errors import Unsupported
from auditor.methods.robustness.convolution import Axis, convolution_norm_upper
from auditor.methods.robustness.dense import matrix_norm_upper
from auditor.methods.robustness.pooling import pooling_upper, spread
from auditor.methods.robustness.rounding import UNIT, up
from auditor.methods.robustness.supremum import convolution_row_sum_upper, row_sum_upper
from auditor.methods.training.layers import MinMax
from auditor.terms import Norm

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
POOLINGS = (nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.MaxPool1d, nn.MaxPool2d)
NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
REARRANGEMENTS = (nn.Identity, nn.Flatten, nn.PixelShuffle, nn.PixelUnshuffle)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
ONE_LIPSCHITZ = (nn.ReLU, nn.Tanh, MinMax)


def operator_norm_bound(layer: nn.Module, input_shape: tuple[int, ...], norm: Norm = "l2") -> float:
    """Never below the Lipschitz constant of `layer` in `norm` on inputs of `input_shape` (without the batch).

    For a linear layer that is its operator norm. Computed in float64 from the weights alone, every rounding counted
    against the bound; a buffer that the forward pass does not use has no influence. Raises Unsupported for a layer
    whose exact type has no known bound, for non-finite weights, and for batch normalisation or dropout in train mode.
    """
    return layer_norm_upper(layer, tuple(input_shape), norm=norm)


def layer_norm_upper(
    layer: Any,
    input_shape: tuple[int, ...],
    *,
    norm: Norm = "l2",
    weight: Tensor | None = None,
    entry_error: float = 0.0,
    node: str | None = None,
) -> float:
    """As `operator_norm_bound`; `weight` replaces that of a dense or convolutional layer, exact up to `entry_error`."""
    kind = exact_type(layer)
    check_layer(layer, input_shape, node)
    if kind is nn.Linear:
        upper = matrix_norm_upper if norm == "l2" else row_sum_upper
        return upper(layer.weight if weight is None else weight, entry_error=entry_error)
    if kind in CONVOLUTIONS:
        upper = convolution_norm_upper if norm == "l2" else convolution_row_sum_upper
        return upper(
            layer.weight if weight is None else weight,
            convolution_axes(layer, input_shape),
            groups=layer.groups,
            mode=layer.padding_mode,
            entry_error=entry_error,
        )
    if kind in POOLINGS:
        return pooling_upper(layer, input_shape, norm=norm, node=node)
    if kind in NORMALIZATIONS:
        scale = normalization_scale(layer)
        return up(float(scale.abs().max()) * (1 + NORMALIZATION_ERROR))
    if kind in ONE_LIPSCHITZ or kind in REARRANGEMENTS or kind in DROPOUTS:
        return 1.0
    if kind is nn.LeakyReLU:
        return max(1.0, abs(layer.negative_slope))
    assert kind is nn.Sigmoid
    return 0.25


NORMALIZATION_ERROR = 8 * UNIT
"""Relative error of γ/√(var + ε) in float64: a sum, a root, a quotient."""


def exact_type(layer: Any) -> type[nn.Module]:
    """The class whose forward pass `layer` runs; of a layer with parametrised tensors the class that was
    parametrised.
    """
    kind = type(layer)
    parametrized = "parametrizations" in layer._modules and kind.__module__ == "torch.nn.utils.parametrize"
    return kind.__bases__[0] if parametrized and len(kind.__bases__) == 1 else kind


def normalization_scale(layer: Any) -> Tensor:
    """γ/√(var + ε) of each channel, float64: what batch normalisation multiplies by in eval mode."""
    variance = layer.running_var.detach().double()
    scale = 1 / (variance + layer.eps).sqrt()
    return scale if layer.weight is None else layer.weight.detach().double() * scale


def convolution_axes(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, input_shape: tuple[int, ...]) -> tuple[Axis, ...]:
    """The geometry of a convolution on `input_shape` [channels, *sizes]."""
    sizes = input_shape[1:]
    padding: list[tuple[int, int]]
    if layer.padding == "same":
        totals = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        padding = [(total // 2, total - total // 2) for total in totals]
    elif isinstance(layer.padding, str):
        padding = [(0, 0)] * len(sizes)
    else:
        padding = [(p, p) for p in spread(layer.padding, len(sizes))]
    return tuple(
        Axis(size, taps, before, after, stride, dilation)
        for size, taps, (before, after), stride, dilation in zip(
            sizes, layer.kernel_size, padding, layer.stride, layer.dilation, strict=True
        )
    )


def check_layer(layer: Any, input_shape: tuple[int, ...], node: str | None = None) -> None:
    """Raises Unsupported unless a bound is known for `layer` as it stands, on inputs of `input_shape`."""
    kind = exact_type(layer)
    subject = f"{node} ({kind.__name__})" if node else kind.__name__

    def refuse(what: str, remedy: str) -> Unsupported:
        return Unsupported(f"{subject}: {what}", node=node, remedy=remedy)

    if kind in (nn.Softmax, nn.LogSoftmax, nn.Softmax2d):
        raise refuse("certificates are about logits", "leave the softmax out of the module; the prediction is the same")
    if kind not in SUPPORTED:
        raise refuse(
            "no bound is known for this layer",
            "use one of " + ", ".join(sorted(each.__name__ for each in SUPPORTED)),
        )
    if kind.forward is not FORWARD[kind]:
        raise refuse("its class's forward has been replaced", "import torch without patches")
    if getattr(layer, "return_indices", False):
        raise refuse("returns indices", "set return_indices=False")
    if kind is nn.LeakyReLU and not math.isfinite(layer.negative_slope):
        raise refuse(f"has slope {layer.negative_slope}", "give it a finite slope")
    if layer.training and (kind in DROPOUTS or kind in NORMALIZATIONS):
        raise refuse("is in train mode, so its output is not a function of its input", "call model.eval() first")
    for name, tensor in _tensors(layer, kind):
        if tensor.is_complex() or tensor.is_quantized or not tensor.dtype.is_floating_point:
            raise refuse(f"`{name}` has dtype {tensor.dtype}", "convert the model to a real floating point dtype")
        if not bool(tensor.isfinite().all()):
            raise refuse(f"`{name}` holds NaN or infinite values", "repair the weights")
    if kind in NORMALIZATIONS:
        if layer.running_var is None:
            raise refuse("uses the statistics of its batch", "set track_running_stats=True")
        if bool((layer.running_var.double() + layer.eps <= 0).any()):
            raise refuse("has a variance that is not positive", "repair running_var")
    expected = SPATIAL.get(kind)
    if expected is not None and len(input_shape) != expected + 1:
        raise refuse(f"needs inputs [channels and {expected} sizes], found {input_shape}", "state the input's shape")
    if kind is MinMax and (_axis(layer.dim, input_shape) < 0 or input_shape[_axis(layer.dim, input_shape)] % 2):
        raise refuse(f"dim {layer.dim} of inputs {input_shape} is the batch or of odd width", "give it an even width")
    if kind is nn.Flatten and _axis(layer.start_dim, input_shape) < 0:
        raise refuse("flattens the batch", "use start_dim=1")


def _axis(dim: int, input_shape: tuple[int, ...]) -> int:
    """Position within `input_shape` of a dimension counted with the batch, -1 for the batch itself."""
    return dim % (len(input_shape) + 1) - 1


def _tensors(layer: Any, kind: type[nn.Module]) -> list[tuple[str, Tensor]]:
    """The tensors that the forward pass of a layer in eval mode uses."""
    if kind is nn.Linear or kind in CONVOLUTIONS:
        names = ["weight", "bias"]
    elif kind in NORMALIZATIONS:
        names = ["weight", "bias", "running_mean", "running_var"]
    else:
        names = []
    found = [(name, getattr(layer, name)) for name in names]
    return [(name, tensor) for name, tensor in found if tensor is not None]


SUPPORTED = frozenset(
    (
        nn.Linear, nn.LeakyReLU, nn.Sigmoid,
        *CONVOLUTIONS, *POOLINGS, *NORMALIZATIONS, *REARRANGEMENTS, *DROPOUTS, *ONE_LIPSCHITZ,
    )
)  # fmt: skip

FORWARD = {kind: kind.forward for kind in SUPPORTED}
"""What each supported class computes, as of import: a bound speaks of that and of nothing else."""

SPATIAL = {
    nn.Conv1d: 1,
    nn.Conv2d: 2,
    nn.Conv3d: 3,
    nn.AvgPool1d: 1,
    nn.AvgPool2d: 2,
    nn.AdaptiveAvgPool1d: 1,
    nn.AdaptiveAvgPool2d: 2,
    nn.MaxPool1d: 1,
    nn.MaxPool2d: 2,
    nn.BatchNorm2d: 2,
    nn.BatchNorm3d: 3,
    nn.PixelShuffle: 2,
    nn.PixelUnshuffle: 2,
}
"""How many sizes beside the channels the inputs of a layer have, where that is fixed."""
