"""What each ONNX operator is in torch: a layer of one value, or a function of several.

`translate` is a table from operator to a builder that takes a `Call` and returns the layer, or raises ModelError.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import torch
from torch import Tensor, nn

from auditor.loading.onnx.call import Call
from auditor.loading.onnx.layers import Part, Permute, Reshape, Scale, Shift
from auditor.loading.onnx.windows import average_pool, convolution, max_pool


def _gemm(call: Call) -> nn.Module:
    weight, bias = call.constant(1), call.constant(2)
    if weight is None or weight.ndim != 2 or call.attributes.get("transA", 0) or call.value.ndim != 2:
        raise call.unsupported("is supported as x·W + b with constant W only")
    weight = weight if call.attributes.get("transB", 0) else weight.T
    weight = weight * call.attributes.get("alpha", 1.0)
    if bias is not None:
        bias = (bias * call.attributes.get("beta", 1.0)).broadcast_to(1, len(weight))[0]
    return _linear(weight, bias)


def _matmul(call: Call) -> nn.Module:
    weight = call.constant(1)
    if weight is None or weight.ndim != 2 or call.value.ndim < 2:
        raise call.unsupported("is supported as x·W with a constant matrix W only")
    return _linear(weight.T, None)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer


def _global(kinds: tuple[type[nn.Module], ...]) -> Callable[[Call], nn.Module]:
    return lambda call: kinds[call.value.ndim - 3](1)


def _mean(call: Call) -> nn.Module:
    axes = call.integers(1, "axes")
    spatial = list(range(2, call.value.ndim))
    if axes is None or sorted(axis % call.value.ndim for axis in axes) != spatial or call.value.ndim != 4:
        raise call.unsupported("is supported over height and width only")
    pool = nn.AdaptiveAvgPool2d(1)
    return pool if call.attributes.get("keepdims", 1) else nn.Sequential(pool, nn.Flatten())


def _batch_norm(call: Call) -> nn.Module:
    scale, shift, mean, variance = (call.constant(position) for position in (1, 2, 3, 4))
    if scale is None or shift is None or mean is None or variance is None or call.attributes.get("training_mode", 0):
        raise call.unsupported("is supported in inference mode, with constant statistics, only")
    kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[call.value.ndim]
    layer = kind(len(scale), eps=call.attributes.get("epsilon", 1e-5)).eval()
    state = {"weight": scale, "bias": shift, "running_mean": mean, "running_var": variance}
    layer.load_state_dict(state, strict=False)
    return layer


def _add(call: Call) -> nn.Module:
    constant = call.constant(1 - call.position)
    assert constant is not None
    return Shift(constant)


def _subtract(call: Call) -> nn.Module:
    constant = call.constant(1 - call.position)
    assert constant is not None
    return Shift(-constant) if call.position == 0 else nn.Sequential(Scale(torch.tensor(-1.0)), Shift(constant))


def _multiply(call: Call) -> nn.Module:
    constant = call.constant(1 - call.position)
    assert constant is not None
    return Scale(constant)


def _divide(call: Call) -> nn.Module:
    constant = call.constant(1)
    if constant is None:
        raise call.unsupported("by a value that depends on the input is not supported")
    return Scale(1 / constant)


def _flatten(call: Call) -> nn.Module:
    if call.attributes.get("axis", 1) % max(call.value.ndim, 1) != 1:
        raise call.unsupported("along another axis than 1 would mix the inputs of a batch")
    return nn.Flatten()


def _reshape(call: Call) -> nn.Module:
    sizes = call.integers(1, "shape")
    if sizes is None:
        raise call.unsupported("to a shape that depends on the input is not supported")
    shape = call.value.shape
    of_batch = sizes[0] in (0, -1, len(call.value)) or (sizes[0] == 1 and call.single)
    rest = [shape[place] if size == 0 and not call.attributes.get("allowzero") else size
            for place, size in enumerate(sizes) if place]  # fmt: skip
    total = math.prod(shape[1:])
    known = math.prod(size for size in rest if size != -1)
    if -1 in rest and known and total % known == 0:
        rest[rest.index(-1)] = total // known
    if not of_batch or -1 in rest or math.prod(rest) != total:
        raise call.unsupported(f"to {sizes} would mix the inputs of a batch")
    return nn.Flatten() if rest == [total] else Reshape(tuple(rest))


def _squeeze(call: Call) -> nn.Module:
    axes = call.integers(1, "axes")
    places = {axis % call.value.ndim for axis in axes} if axes is not None else {
        place for place, size in enumerate(call.value.shape) if size == 1
    }  # fmt: skip
    if 0 in places:
        raise call.unsupported("of the batch axis is not supported")
    return Reshape(tuple(size for place, size in enumerate(call.value.shape) if place and place not in places))


def _unsqueeze(call: Call) -> nn.Module:
    axes = call.integers(1, "axes") or []
    sizes, rank = list(call.value.shape), call.value.ndim + len(axes)
    for place in sorted(axis % rank for axis in axes):
        if place == 0:
            raise call.unsupported("before the batch axis is not supported")
        sizes.insert(place, 1)
    return Reshape(tuple(sizes[1:]))


def _transpose(call: Call) -> nn.Module:
    order = tuple(call.attributes.get("perm", range(call.value.ndim)[::-1]))
    if order[0] != 0:
        raise call.unsupported("that moves the batch axis is not supported")
    return Permute(order)


def _slice(call: Call) -> nn.Module:
    starts, stops = call.integers(1, "starts"), call.integers(2, "ends")
    axes, steps = call.integers(3, "axes"), call.integers(4, "steps")
    if starts is None or stops is None or (steps is not None and set(steps) != {1}):
        raise call.unsupported("is supported with constant bounds and step 1 only")
    parts = []
    for start, stop, axis in zip(starts, stops, axes or range(len(starts)), strict=True):
        axis %= call.value.ndim
        first, last, _ = slice(start, stop).indices(call.value.shape[axis])
        if axis == 0:
            raise call.unsupported("of the batch axis is not supported")
        parts.append(Part(axis, first, max(first, last)))
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)


def _clip(call: Call) -> nn.Module:
    low = call.attributes.get("min", float(call.constants[1]) if 1 in call.constants else -math.inf)
    high = call.attributes.get("max", float(call.constants[2]) if 2 in call.constants else math.inf)
    return nn.ReLU6() if (low, high) == (0.0, 6.0) else nn.Hardtanh(low, high)


def _softmax(kind: type[nn.Module]) -> Callable[[Call], nn.Module]:
    def build(call: Call) -> nn.Module:
        if call.value.ndim != 2 or call.attributes.get("axis", 1) not in (1, -1):
            raise call.unsupported("is supported on [batch, n] only")
        return kind(1)

    return build


def _gelu(call: Call) -> nn.Module:
    return nn.GELU(approximate=call.attributes.get("approximate", "none"))


LAYERS: dict[str, Callable[[Call], nn.Module]] = {
    "Add": _add,
    "AveragePool": average_pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Conv": convolution,
    "Div": _divide,
    "Dropout": lambda call: nn.Identity(),
    "Elu": lambda call: nn.ELU(call.attributes.get("alpha", 1.0)),
    "Flatten": _flatten,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": _global((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)),
    "GlobalMaxPool": _global((nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)),
    "HardSwish": lambda call: nn.Hardswish(),
    "Identity": lambda call: nn.Identity(),
    "LeakyRelu": lambda call: nn.LeakyReLU(call.attributes.get("alpha", 0.01)),
    "LogSoftmax": _softmax(nn.LogSoftmax),
    "MatMul": _matmul,
    "MaxPool": max_pool,
    "Mish": lambda call: nn.Mish(),
    "Mul": _multiply,
    "Neg": lambda call: Scale(torch.tensor(-1.0)),
    "ReduceMean": _mean,
    "Relu": lambda call: nn.ReLU(),
    "Reshape": _reshape,
    "Selu": lambda call: nn.SELU(),
    "Sigmoid": lambda call: nn.Sigmoid(),
    "Slice": _slice,
    "Softmax": _softmax(nn.Softmax),
    "Softplus": lambda call: nn.Softplus(),
    "Squeeze": _squeeze,
    "Sub": _subtract,
    "Tanh": lambda call: nn.Tanh(),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""Operators applied to one value; the others of their inputs are constants."""

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "Add": operator.add,
    "Max": torch.maximum,
    "Min": torch.minimum,
    "Mul": operator.mul,
    "Sub": operator.sub,
}
"""Operators applied to two values. `Concat` and `Split` have rules of their own in the graph."""
