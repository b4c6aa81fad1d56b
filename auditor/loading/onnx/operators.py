"""What each ONNX operator is in torch: a layer of one value, or a function of several.

`translate` is a table from operator to a builder that takes a `Call` and returns the layer, or raises ModelError.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from auditor.errors import ModelError


class Call(NamedTuple):
    """One node: its operator, its attributes by name, its constant inputs by position, and the value it is applied
    to."""

    name: str
    kind: str
    attributes: dict[str, Any]
    constants: dict[int, np.ndarray]
    value: Tensor
    """A probe of the first input that is no constant, [3, ...]."""
    position: int
    """Which of the inputs that is."""
    single: bool
    """Whether the graph is written for a batch of exactly one input, so that a leading 1 means the batch."""

    def unsupported(self, why: str) -> ModelError:
        return ModelError(
            f"ONNX node {self.name!r}: {self.kind} {why}",
            remedy="save the weights as a state dict and name the architecture instead",
            code="onnx-operator",
        )

    def constant(self, position: int) -> Tensor | None:
        """A constant input as float32; None if the node has none at that place."""
        found = self.constants.get(position)
        return None if found is None else torch.from_numpy(np.array(found, dtype=np.float32))

    def integers(self, position: int, attribute: str) -> list[int] | None:
        """Integers that are an attribute in old operator sets and a constant input in new ones."""
        if attribute in self.attributes:
            found = self.attributes[attribute]
            return [found] if isinstance(found, int) else list(found)
        if position in self.constants:
            return [int(each) for each in np.atleast_1d(self.constants[position])]
        return None


class Shift(nn.Module):
    """x + constant."""

    def __init__(self, constant: Tensor) -> None:
        super().__init__()
        self.constant: Tensor
        self.register_buffer("constant", constant)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.constant


class Scale(nn.Module):
    """x · constant."""

    def __init__(self, constant: Tensor) -> None:
        super().__init__()
        self.constant: Tensor
        self.register_buffer("constant", constant)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.constant


class Permute(nn.Module):
    """Reorders the axes after the batch."""

    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)


class Reshape(nn.Module):
    """Gives each input of a batch the shape `sizes`."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = sizes

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, *self.sizes)


class Part(nn.Module):
    """The entries start to stop of one axis after the batch."""

    def __init__(self, axis: int, start: int, stop: int) -> None:
        super().__init__()
        self.axis, self.start, self.stop = axis, start, stop

    def forward(self, x: Tensor) -> Tensor:
        return x.narrow(self.axis, self.start, self.stop - self.start)


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


def _convolution(call: Call) -> nn.Module:
    weight, bias = call.constant(1), call.constant(2)
    if weight is None:
        raise call.unsupported("is supported with a constant kernel only")
    axes = weight.ndim - 2
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}.get(axes)
    if kind is None:
        raise call.unsupported(f"over {axes} axes is not supported")
    groups = call.attributes.get("group", 1)
    strides = tuple(call.attributes.get("strides", [1] * axes))
    dilations = tuple(call.attributes.get("dilations", [1] * axes))
    before, after = _pads(call, tuple(weight.shape[2:]), strides, dilations)
    layer = kind(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),
        stride=strides,
        dilation=dilations,
        groups=groups,
        padding=before if before == after else 0,
        bias=bias is not None,
    )
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None and layer.bias is not None:
            layer.bias.copy_(bias)
    if before == after:
        return layer
    sides = tuple(size for pair in zip(reversed(before), reversed(after), strict=True) for size in pair)
    pad = {1: nn.ConstantPad1d, 2: nn.ConstantPad2d, 3: nn.ConstantPad3d}[axes]
    return nn.Sequential(pad(sides, 0.0), layer)


def _pads(
    call: Call, kernel: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding before and after each axis."""
    axes = len(kernel)
    rule = call.attributes.get("auto_pad", "NOTSET")
    if rule in ("NOTSET", ""):
        pads = call.attributes.get("pads", [0] * (2 * axes))
        return tuple(pads[:axes]), tuple(pads[axes:])
    if rule == "VALID":
        return (0,) * axes, (0,) * axes
    before, after = [], []
    for size, width, stride, dilation in zip(call.value.shape[2:], kernel, strides, dilations, strict=True):
        total = max(0, (math.ceil(size / stride) - 1) * stride + dilation * (width - 1) + 1 - size)
        less, more = total // 2, total - total // 2
        before.append(less if rule == "SAME_UPPER" else more)
        after.append(more if rule == "SAME_UPPER" else less)
    return tuple(before), tuple(after)


def _max_pool(call: Call) -> nn.Module:
    kernel, strides, dilations, padding = _window(call)
    kind = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[len(kernel)]
    ceil = bool(call.attributes.get("ceil_mode", 0))
    return kind(kernel, strides, padding=padding, dilation=dilations, ceil_mode=ceil)


def _average_pool(call: Call) -> nn.Module:
    kernel, strides, dilations, padding = _window(call)
    if set(dilations) != {1}:
        raise call.unsupported("with dilation is not supported")
    kind = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}[len(kernel)]
    ceil, count = bool(call.attributes.get("ceil_mode", 0)), bool(call.attributes.get("count_include_pad", 0))
    return kind(kernel, strides, padding=padding, ceil_mode=ceil, count_include_pad=count)


def _window(call: Call) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    kernel = tuple(call.attributes["kernel_shape"])
    strides = tuple(call.attributes.get("strides", [1] * len(kernel)))
    dilations = tuple(call.attributes.get("dilations", [1] * len(kernel)))
    before, after = _pads(call, kernel, strides, dilations)
    if before != after or len(kernel) > 3:
        raise call.unsupported("with padding that differs between sides is not supported")
    return kernel, strides, dilations, before


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
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Conv": _convolution,
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
    "MaxPool": _max_pool,
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
