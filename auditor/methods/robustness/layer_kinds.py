"""Which layers have a bound, by their exact type, and what each must be like for the bound to be about it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from auditor.errors import Unsupported
from auditor.methods.layers import GroupSort, Householder, MinMax
from auditor.methods.robustness.activations import ACTIVATIONS, activation_problem
from auditor.methods.robustness.pooling import ADAPTIVE_AVERAGE, ADAPTIVE_MAXIMUM, AVERAGE, MAXIMUM, spread
from auditor.methods.robustness.resampling import INTERPOLATIONS, PADDINGS, UPSAMPLINGS

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
POOLINGS = (*AVERAGE, *ADAPTIVE_AVERAGE, *MAXIMUM, *ADAPTIVE_MAXIMUM)
NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
REARRANGEMENTS = (nn.Identity, nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle)
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)

SUPPORTED = frozenset(
    (
        nn.Linear, MinMax, GroupSort, Householder, *CONVOLUTIONS, *TRANSPOSED, *POOLINGS, *NORMALIZATIONS,
        *REARRANGEMENTS, *DROPOUTS, *PADDINGS, *UPSAMPLINGS, *ACTIVATIONS,
    )
)  # fmt: skip

FORWARD = {kind: kind.forward for kind in SUPPORTED}
"""What each supported class computes, as of import: a bound speaks of that and of nothing else."""

SPATIAL = {
    kind: axes
    for kinds in (CONVOLUTIONS, TRANSPOSED, AVERAGE, ADAPTIVE_AVERAGE, MAXIMUM, ADAPTIVE_MAXIMUM)
    for axes, kind in enumerate(kinds, start=1)
} | {
    nn.BatchNorm2d: 2,
    nn.BatchNorm3d: 3,
    nn.PixelShuffle: 2,
    nn.PixelUnshuffle: 2,
    nn.UpsamplingNearest2d: 2,
    nn.UpsamplingBilinear2d: 2,
    **{kind: axes for kind, (axes, _) in PADDINGS.items()},
}
"""How many sizes beside the channels the inputs of a layer have, where that is fixed."""

LOCAL = "name `method: smoothing` in the check, or leave the layer out"
FOLDED = "use nn.BatchNorm in eval mode, which is a constant factor; " + LOCAL
LOGITS = "certificates are about logits", "leave the softmax out of the module; the prediction is the same"
UNBOUNDED = "has no Lipschitz constant"
REFUSALS: dict[type[nn.Module], tuple[str, str]] = {
    **dict.fromkeys((nn.Softmax, nn.LogSoftmax, nn.Softmax2d, nn.Softmin), LOGITS),
    **dict.fromkeys(
        (
            nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.LocalResponseNorm,
            nn.RMSNorm, nn.CrossMapLRN2d,
        ),
        ("divides by a statistic of its input, so no constant bounds it well", FOLDED),
    ),
    **dict.fromkeys(
        (nn.MultiheadAttention, nn.Transformer, nn.TransformerEncoder, nn.TransformerEncoderLayer,
         nn.TransformerDecoder, nn.TransformerDecoderLayer),
        (f"multiplies functions of its input, so it {UNBOUNDED}", LOCAL),
    ),
    **dict.fromkeys((nn.Bilinear, nn.GLU), (f"multiplies functions of its input, so it {UNBOUNDED}", LOCAL)),
    **dict.fromkeys((nn.RNN, nn.LSTM, nn.GRU), ("is a loop over time, which is not bounded yet", LOCAL)),
    **dict.fromkeys(
        (nn.FractionalMaxPool2d, nn.FractionalMaxPool3d),
        ("draws its windows at random", "use nn.MaxPool or nn.AdaptiveMaxPool"),
    ),
    **dict.fromkeys(
        (nn.LPPool1d, nn.LPPool2d, nn.LPPool3d),
        ("takes a root whose rounding error near 0 is not bounded", "use nn.AvgPool or nn.MaxPool"),
    ),
    nn.Hardshrink: (f"jumps at ±lambd, so it {UNBOUNDED}", "use nn.Softshrink"),
    nn.Embedding: ("takes indices, not values", "start the model after the embedding"),
}  # fmt: skip
"""Known layers that have no bound, each with the reason and what would work."""


PARAMETRIZED = frozenset(
    ("__getstate__", "__setstate__", "__deepcopy__", "__module__", "__doc__", "__slotnames__", "__firstlineno__",
     "__static_attributes__")
)  # fmt: skip
"""What torch gives the class of a parametrised layer, beside a property for each tensor that is computed."""


def exact_type(layer: Any) -> type[nn.Module]:
    """The class whose forward pass `layer` runs; of a layer with parametrised tensors the class that was
    parametrised.
    """
    kind = type(layer)
    parametrized = "parametrizations" in layer._modules and kind.__module__ == "torch.nn.utils.parametrize"
    own = PARAMETRIZED.union(layer.parametrizations) if parametrized else PARAMETRIZED
    return kind.__bases__[0] if parametrized and len(kind.__bases__) == 1 and vars(kind).keys() <= own else kind


def check_layer(layer: Any, input_shape: tuple[int, ...], node: str | None = None) -> None:
    """Raises Unsupported unless a bound is known for `layer` as it stands, on inputs of `input_shape`."""
    kind = exact_type(layer)
    subject = f"{node} ({kind.__name__})" if node else kind.__name__
    found = _type_problem(kind) or _tensor_problem(layer, kind) or _problem(layer, kind, input_shape)
    if found is not None:
        what, remedy = found
        raise Unsupported(f"{subject}: {what}", node=node, remedy=remedy)


def _type_problem(kind: type[nn.Module]) -> tuple[str, str] | None:
    if kind in REFUSALS:
        return REFUSALS[kind]
    if kind not in SUPPORTED:
        names = ", ".join(sorted(each.__name__ for each in SUPPORTED))
        return "no bound is known for this layer", f"use one of {names}"
    if kind.forward is not FORWARD[kind]:
        return "its class's forward has been replaced", "import torch without patches"
    return None


def _tensor_problem(layer: Any, kind: type[nn.Module]) -> tuple[str, str] | None:
    if layer.training and (kind in DROPOUTS or kind in NORMALIZATIONS):
        return "is in train mode, so its output is not a function of its input", "call model.eval() first"
    for name, tensor in _tensors(layer, kind):
        if tensor.is_complex() or tensor.is_quantized or not tensor.dtype.is_floating_point:
            return f"`{name}` has dtype {tensor.dtype}", "convert the model to a real floating point dtype"
        if not bool(tensor.isfinite().all()):
            return f"`{name}` holds NaN or infinite values", "repair the weights"
    if kind in NORMALIZATIONS:
        if layer.running_var is None:
            return "uses the statistics of its batch", "set track_running_stats=True"
        if bool((layer.running_var.double() + layer.eps <= 0).any()):
            return "has a variance that is not positive", "repair running_var"
    return None


def _problem(layer: Any, kind: type[nn.Module], input_shape: tuple[int, ...]) -> tuple[str, str] | None:
    """What keeps a layer of a supported kind from having a bound, and the remedy."""
    if kind in ACTIVATIONS:
        return activation_problem(layer, kind)
    if getattr(layer, "return_indices", False):
        return "returns indices", "set return_indices=False"
    expected = SPATIAL.get(kind)
    if expected is not None and len(input_shape) != expected + 1:
        return f"needs inputs [channels and {expected} sizes], found {input_shape}", "state the input's shape"
    if (kind in CONVOLUTIONS or kind in TRANSPOSED) and (shape := _misfit(layer)) is not None:
        return f"has a kernel of shape {shape}, which its sizes do not fit", "make another layer of that geometry"
    if kind in CONVOLUTIONS and layer.padding_mode != "zeros" and list(_padded(layer)) != _pads(layer):
        return (
            f"pads by {_pads(layer)}, as it did when it was made, whatever its padding {layer.padding} says now",
            "make another layer with that padding",
        )
    if kind is MinMax and (_axis(layer.dim, input_shape) < 0 or input_shape[_axis(layer.dim, input_shape)] % 2):
        return f"dim {layer.dim} of inputs {input_shape} is the batch or of odd width", "give it an even width"
    if kind is GroupSort and (
        _axis(layer.dim, input_shape) < 0 or input_shape[_axis(layer.dim, input_shape)] % layer.size
    ):
        return f"dim {layer.dim} of inputs {input_shape} is the batch or no multiple of {layer.size}", "fit the groups"
    if kind is Householder and (input_shape[0], len(layer.theta)) != (layer.channels, layer.channels // 2):
        return f"is made for {layer.channels} channels, found {input_shape}", "give it as many angles as pairs"
    if kind is nn.Flatten and _axis(layer.start_dim, input_shape) < 0:
        return "flattens the batch", "use start_dim=1"
    if kind is nn.Unflatten and (not isinstance(layer.dim, int) or _axis(layer.dim, input_shape) < 0):
        return f"unflattens dim {layer.dim!r}", "name a dimension after the batch by its number"
    if kind in PADDINGS and not math.isfinite(getattr(layer, "value", 0.0)):
        return f"pads with value {layer.value}", "pad with a finite value"
    if kind in UPSAMPLINGS and layer.mode not in INTERPOLATIONS:
        return f"interpolates by {layer.mode!r}", f"use one of {', '.join(INTERPOLATIONS)}"
    if kind in UPSAMPLINGS and len(input_shape) < 2:
        return f"needs inputs [channels, *sizes], found {input_shape}", "state the input's shape"
    return None


def _misfit(layer: Any) -> tuple[int, ...] | None:
    """The shape of a kernel where the layer's numbers, of which torch looks at some alone, say another one."""
    shape = tuple(layer.weight.shape)
    sizes = (layer.kernel_size, layer.stride, layer.dilation)
    fits = all(isinstance(each, tuple) and len(each) == len(shape) - 2 for each in sizes)
    return None if fits and tuple(layer.kernel_size) == shape[2:] else shape


def _pads(layer: Any) -> list[int]:
    """What a convolution whose padding is not zeros pads by, as it was found when the layer was made: before and after
    each axis, the last axis first.
    """
    return list(layer._reversed_padding_repeated_twice)


def _padded(layer: Any) -> Iterator[int]:
    """What it should pad by, in that order."""
    for place in reversed(range(len(layer.kernel_size))):
        if layer.padding == "same":
            total = layer.dilation[place] * (layer.kernel_size[place] - 1)
            yield from (total // 2, total - total // 2)
        else:
            yield from (0, 0) if layer.padding == "valid" else (spread(layer.padding, place + 1)[place],) * 2


def _axis(dim: int, input_shape: tuple[int, ...]) -> int:
    """Position within `input_shape` of a dimension counted with the batch, -1 for the batch itself."""
    return dim % (len(input_shape) + 1) - 1


def _tensors(layer: Any, kind: type[nn.Module]) -> list[tuple[str, Tensor]]:
    """The tensors that the forward pass of a layer in eval mode uses."""
    if kind is nn.Linear or kind in CONVOLUTIONS or kind in TRANSPOSED:
        names = ["weight", "bias"]
    elif kind in NORMALIZATIONS:
        names = ["weight", "bias", "running_mean", "running_var"]
    else:
        names = {nn.PReLU: ["weight"], Householder: ["theta"]}.get(kind, [])
    found = [(name, getattr(layer, name)) for name in names]
    return [(name, tensor) for name, tensor in found if tensor is not None]
