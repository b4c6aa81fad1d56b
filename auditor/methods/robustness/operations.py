"""Operations of a traced forward pass by name: which layer does the same as a function or method call.

A name stands for `torch.f`, `functional.f`, `operator.f` and the tensor method alike. The arguments after the value are
bound as Python binds them, and a call that does not fit a signature here is not understood, hence refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.methods.robustness.elementary import Abs, Total
from auditor.methods.robustness.layer_kinds import LOCAL

Shape = tuple[int, ...]
NAMESPACES = (torch, functional, operator, torch._C._nn, torch.Tensor)  # pyright: ignore[reportAttributeAccessIssue]


def _weighted(kind: Any, weight: Tensor, bias: Tensor | None, *sizes: Any, **geometry: Any) -> Any:
    """A dense or convolutional layer with these tensors; made without drawing weights first."""
    layer = nn.utils.skip_init(
        kind, *sizes, **geometry, bias=bias is not None, device=weight.device, dtype=weight.dtype
    )
    layer.weight = nn.Parameter(weight.detach(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return layer


def _convolution(
    kind: Any,
    shape: Shape,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> nn.Module:
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    sizes = tuple(weight.shape)
    return _weighted(kind, weight, bias, sizes[1] * groups, sizes[0], sizes[2:], **geometry)


def _transposed(
    kind: Any,
    shape: Shape,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> nn.Module:
    geometry = {"stride": stride, "padding": padding, "output_padding": output_padding}
    sizes = tuple(weight.shape)
    return _weighted(
        kind, weight, bias, sizes[0], sizes[1] * groups, sizes[2:], groups=groups, dilation=dilation, **geometry
    )


def _linear(shape: Shape, weight: Tensor, bias: Tensor | None = None) -> nn.Module:
    return _weighted(nn.Linear, weight, bias, weight.shape[1], weight.shape[0])


def _product(shape: Shape, weight: Tensor) -> nn.Module:
    return _linear(shape, weight.mT)


def _batch_norm(
    shape: Shape,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> nn.Module:
    kinds = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}
    layer: Any = nn.utils.skip_init(kinds[len(shape)], shape[0], eps=eps, affine=False, dtype=torch.float64)
    layer.running_mean, layer.running_var = running_mean.detach(), running_var.detach()
    for name, tensor in (("weight", weight), ("bias", bias)):
        setattr(layer, name, None if tensor is None else nn.Parameter(tensor.detach(), requires_grad=False))
    return layer.train(training)


def _total(mean: bool, shape: Shape, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> nn.Module | None:
    dims = dim if axis is None else axis
    if dims is None:
        return None
    dims = tuple(each % (len(shape) + 1) for each in (dims if isinstance(dims, (tuple, list)) else (dims,)))
    return Total(dims, keepdim, mean) if dims and 0 not in dims and len(set(dims)) == len(dims) else None


def _prelu(shape: Shape, weight: Tensor) -> nn.Module:
    layer = nn.PReLU(weight.numel(), device=weight.device, dtype=weight.dtype)
    layer.weight = nn.Parameter(weight.detach(), requires_grad=False)
    return layer


def _dropout(shape: Shape, p: float = 0.5, training: bool = True, inplace: bool = False) -> nn.Module:
    return nn.Dropout(p).train(training)


def _interpolate(
    shape: Shape,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> nn.Module | None:
    if antialias:
        return None
    return nn.Upsample(size, scale_factor, mode, align_corners, recompute_scale_factor)


def _softmax(kind: Any, shape: Shape, dim: Any = None, *, dtype: Any = None, _stacklevel: int = 3) -> nn.Module:
    return kind(dim)


def _max_pool(
    kind: Any,
    shape: Shape,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> nn.Module:
    return kind(kernel_size, stride, padding, dilation, return_indices, ceil_mode)


def _same(kind: Any) -> Callable[..., nn.Module]:
    """For a module whose options are those of the function, in the same order."""
    return lambda shape, *args, **options: kind(*args, **options)


LAYERS: dict[str, Callable[..., nn.Module | None]] = {
    **{f"conv{axes}d": partial(_convolution, getattr(nn, f"Conv{axes}d")) for axes in (1, 2, 3)},
    **{f"conv_transpose{axes}d": partial(_transposed, getattr(nn, f"ConvTranspose{axes}d")) for axes in (1, 2, 3)},
    **{f"max_pool{axes}d": partial(_max_pool, getattr(nn, f"MaxPool{axes}d")) for axes in (1, 2, 3)},
    **{
        f"{name}_pool{axes}d": _same(getattr(nn, f"{kind}Pool{axes}d"))
        for name, kind in (("avg", "Avg"), ("adaptive_avg", "AdaptiveAvg"), ("adaptive_max", "AdaptiveMax"))
        for axes in (1, 2, 3)
    },
    "linear": _linear,
    "matmul": _product,
    "mm": _product,
    "batch_norm": _batch_norm,
    "dropout": _dropout,
    "prelu": _prelu,
    "interpolate": _interpolate,
    "mean": partial(_total, True),
    "sum": partial(_total, False),
    "abs": lambda shape: Abs(),
    "contiguous": lambda shape: nn.Identity(),
    "clone": lambda shape: nn.Identity(),
    "softmax": partial(_softmax, nn.Softmax),
    "log_softmax": partial(_softmax, nn.LogSoftmax),
    **{
        name: _same(kind)
        for name, kind in {
            "relu": nn.ReLU, "relu6": nn.ReLU6, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "selu": nn.SELU,
            "celu": nn.CELU, "silu": nn.SiLU, "mish": nn.Mish, "hardtanh": nn.Hardtanh, "hardswish": nn.Hardswish,
            "hardsigmoid": nn.Hardsigmoid, "threshold": nn.Threshold,
            "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "softplus": nn.Softplus, "softsign": nn.Softsign,
            "logsigmoid": nn.LogSigmoid, "softshrink": nn.Softshrink, "tanhshrink": nn.Tanhshrink,
        }.items()
    },
}  # fmt: skip
"""From a name to the layer that does it, made from the value's shape and the arguments after the value; None where
these have no bound.
"""

SELECTIONS: dict[str, Callable[..., Any]] = {
    **{
        name: getattr(torch.Tensor, name)
        for name in (
            "view", "reshape", "flatten", "unflatten", "permute", "transpose", "t", "squeeze", "unsqueeze", "expand",
            "expand_as", "view_as", "reshape_as", "repeat", "repeat_interleave", "tile", "flip", "roll", "rot90",
            "narrow", "select", "index_select", "chunk", "split", "unbind", "tensor_split", "movedim", "moveaxis",
            "swapaxes", "swapdims", "unfold", "diagonal", "fliplr", "flipud", "adjoint", "detach",
        )
    },
    **{name: getattr(functional, name) for name in ("pixel_shuffle", "pixel_unshuffle", "channel_shuffle")},
    "getitem": operator.getitem,
    "zeros_like": torch.zeros_like,
    "pad": functional.pad,
    "broadcast_to": torch.broadcast_to,
    **{name: partial(lambda which, x: getattr(x, which), name) for name in ("T", "mT")},
}  # fmt: skip
"""Operations of which each output entry is an entry of the input or a constant, found out by running them on numbers.
`unfold` is the tensor method, not `functional.unfold`."""

AFFINE = ("add", "sub", "mul", "div", "truediv", "true_divide", "neg", "negative", "rsub", "multiply", "subtract")
JOINS = ("cat", "concat", "concatenate", "stack")
SIZES = ("size", "dim", "ndim", "shape", "numel", "device")
ARITHMETIC = ("add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "getitem", "pow")
"""What may be computed from sizes, by operators."""

REASONS = (
    {
        name: (f"`{name}` multiplies functions of the input, so it has no Lipschitz constant", LOCAL)
        for name in ("scaled_dot_product_attention", "multi_head_attention_forward", "bilinear", "bmm", "einsum", "pow")
    }
    | {
        name: (f"`{name}` divides by a statistic of its input, so no constant bounds it well", "use nn.BatchNorm")
        for name in ("layer_norm", "group_norm", "instance_norm", "rms_norm", "normalize", "local_response_norm")
    }
    | dict.fromkeys(
        ("maximum", "minimum", "max", "min"),
        ("the larger of two values is not bounded yet", "use MinMax or a ReLU, max(a, b) = a + relu(b − a)"),
    )
)
"""Known operations without a bound, each with the reason and what would work."""


def _functions() -> dict[Any, str]:
    """Every function that a name of this module stands for."""
    names = (*LAYERS, *SELECTIONS, *AFFINE, *JOINS, *REASONS)
    found: dict[Any, str] = {}
    for space in NAMESPACES:
        for name in names:
            for spelled in (name, f"{name}_"):
                function = getattr(space, spelled, None)
                if callable(function) and not (name == "unfold" and space is functional):
                    found.setdefault(function, spelled)
    for name in ("iadd", "isub", "imul", "itruediv"):
        found[getattr(operator, name)] = f"{name[1:]}_"
    found[operator.getitem] = "getitem"
    return found


FUNCTIONS = _functions()
METHODS = frozenset(spelled for spelled in FUNCTIONS.values() if hasattr(torch.Tensor, spelled))
