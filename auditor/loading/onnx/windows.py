"""ONNX operators that slide a window over an input: convolution and pooling."""

from __future__ import annotations

import math

import torch
from torch import nn

from auditor.loading.onnx.call import Call


def convolution(call: Call) -> nn.Module:
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


def max_pool(call: Call) -> nn.Module:
    kernel, strides, dilations, padding = _window(call)
    kind = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[len(kernel)]
    ceil = bool(call.attributes.get("ceil_mode", 0))
    return kind(kernel, strides, padding=padding, dilation=dilations, ceil_mode=ceil)


def average_pool(call: Call) -> nn.Module:
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
