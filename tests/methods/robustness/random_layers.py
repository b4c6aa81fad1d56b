"""Random layers, and their matrices written out."""

import math

import torch
from torch import nn


def unrolled(layer, shape):
    """The matrix of a linear layer's linear part, transposed."""
    size = math.prod(shape)
    with torch.no_grad():
        images = layer(torch.eye(size, dtype=torch.float64).reshape(size, *shape))
        offset = layer(torch.zeros(1, *shape, dtype=torch.float64))
    return (images - offset).flatten(1)


def exact_norm(layer, shape):
    return float(torch.linalg.svdvals(unrolled(layer, shape))[0])


def draw(generator, low, high):
    return int(torch.randint(low, high + 1, (), generator=generator))


def pick(generator, options):
    return options[draw(generator, 0, len(options) - 1)]


def random_dense(generator):
    rows, columns = draw(generator, 1, 40), draw(generator, 1, 40)
    layer = nn.Linear(columns, rows).double()
    redraw(layer, generator)
    return layer, (columns,)


def random_convolution(generator):
    """A convolution of 1 to 3 dimensions with any of torch's options that fits its input."""
    while True:
        axes = pick(generator, [1, 2, 2, 3])
        sizes = tuple(draw(generator, 1, {1: 14, 2: 8, 3: 4}[axes]) for _ in range(axes))
        groups = pick(generator, [1, 1, 2])
        inputs, outputs = groups * draw(generator, 1, 3), groups * draw(generator, 1, 3)
        taps = tuple(draw(generator, 1, 5 if axes < 3 else 3) for _ in range(axes))
        stride = tuple(draw(generator, 1, 3) for _ in range(axes))
        dilation = tuple(draw(generator, 1, 2) for _ in range(axes))
        padding = tuple(draw(generator, 0, 4) for _ in range(axes))
        mode = pick(generator, ["zeros", "zeros", "circular", "reflect", "replicate"])
        if draw(generator, 0, 5) == 0:
            padding, stride = "same", (1,) * axes
        else:
            narrow = mode == "reflect" and any(p >= n for p, n in zip(padding, sizes, strict=True))
            wrapped = mode == "circular" and any(p > n for p, n in zip(padding, sizes, strict=True))
            spans = [d * (k - 1) + 1 for d, k in zip(dilation, taps, strict=True)]
            small = any(n + 2 * p < span for n, p, span in zip(sizes, padding, spans, strict=True))
            if narrow or wrapped or small:
                continue
        kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[axes]
        layer = kind(inputs, outputs, taps, stride, padding, dilation, groups, padding_mode=mode).double()
        redraw(layer, generator)
        try:
            layer(torch.zeros(1, inputs, *sizes, dtype=torch.float64))
        except (RuntimeError, ValueError):
            continue
        return layer, (inputs, *sizes)


def redraw(layer, generator):
    """Gaussian, sparse, non-negative or rank-one weights: bounds fail on structure sooner than on noise."""
    with torch.no_grad():
        weight = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float64)
        kind = draw(generator, 0, 3)
        if kind == 1:
            weight *= torch.rand(weight.shape, generator=generator, dtype=torch.float64) < 0.3
        elif kind == 2:
            weight = weight.abs()
        elif kind == 3:
            weight = weight.sign() * torch.ones_like(weight[:1])
        layer.weight.copy_(weight)


def random_transposed(generator):
    """A transposed convolution of 1 to 3 dimensions with any of torch's options."""
    while True:
        axes = pick(generator, [1, 2, 2, 3])
        sizes = tuple(draw(generator, 1, {1: 12, 2: 6, 3: 3}[axes]) for _ in range(axes))
        groups = pick(generator, [1, 1, 2])
        inputs, outputs = groups * draw(generator, 1, 3), groups * draw(generator, 1, 3)
        taps = tuple(draw(generator, 1, 4 if axes < 3 else 3) for _ in range(axes))
        stride = tuple(draw(generator, 1, 3) for _ in range(axes))
        dilation = tuple(draw(generator, 1, 3) for _ in range(axes))
        padding = tuple(draw(generator, 0, 2) for _ in range(axes))
        extra = tuple(draw(generator, 0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True))
        kind = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[axes]
        layer = kind(inputs, outputs, taps, stride, padding, extra, groups, dilation=dilation).double()
        redraw(layer, generator)
        if runs(layer, (inputs, *sizes)):
            return layer, (inputs, *sizes)


def random_pooling(generator):
    """An average or adaptive average pooling of 1 to 3 dimensions."""
    while True:
        axes = pick(generator, [1, 2, 2, 3])
        sizes = tuple(draw(generator, 1, {1: 14, 2: 8, 3: 4}[axes]) for _ in range(axes))
        if draw(generator, 0, 2) == 0:
            kind = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[axes]
            layer = kind(tuple(draw(generator, 1, 9 if axes < 3 else 5) for _ in range(axes)))
        else:
            options = _windows(generator, axes) | {"count_include_pad": bool(draw(generator, 0, 1))}
            if axes > 1 and draw(generator, 0, 3) == 0:
                options["divisor_override"] = draw(generator, 1, 5)
            layer = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}[axes](**options)
        if runs(layer, (1, *sizes)):
            return layer, (1, *sizes)


def random_max_pooling(generator):
    """A max or adaptive max pooling of 1 to 3 dimensions, dilated or not, whose windows all see a pixel."""
    while True:
        axes = pick(generator, [1, 2, 2, 3])
        sizes = tuple(draw(generator, 1, {1: 14, 2: 8, 3: 4}[axes]) for _ in range(axes))
        if draw(generator, 0, 2) == 0:
            kind = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}[axes]
            layer = kind(tuple(draw(generator, 1, 9 if axes < 3 else 5) for _ in range(axes)))
        else:
            options = _windows(generator, axes) | {"dilation": tuple(draw(generator, 1, 3) for _ in range(axes))}
            layer = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[axes](**options)
        if runs(layer, (1, *sizes)) and bool(layer(torch.zeros(1, 1, *sizes, dtype=torch.float64)).isfinite().all()):
            return layer, (1, *sizes)


def random_padding(generator):
    """A padding layer of 1 to 3 dimensions; zero and constant padding may crop."""
    while True:
        axes = pick(generator, [1, 2, 2, 3])
        sizes = tuple(draw(generator, 1, {1: 14, 2: 7, 3: 4}[axes]) for _ in range(axes))
        name = pick(generator, ["ZeroPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "CircularPad"])
        lowest = -1 if name in ("ZeroPad", "ConstantPad") else 0
        widths = tuple(draw(generator, lowest, 4) for _ in range(2 * axes))
        kind = getattr(nn, f"{name}{axes}d")
        layer = kind(widths, 2.5) if name == "ConstantPad" else kind(widths)
        if runs(layer, (2, *sizes)):
            return layer, (2, *sizes)


def random_upsampling(generator):
    """Nearest or linear interpolation, up or down, by size or by scale."""
    while True:
        axes = pick(generator, [1, 2, 2, 3])
        sizes = tuple(draw(generator, 1, {1: 12, 2: 6, 3: 4}[axes]) for _ in range(axes))
        mode = pick(generator, ["nearest", "nearest-exact", ["linear", "bilinear", "trilinear"][axes - 1]])
        options = {} if mode.startswith("nearest") else {"align_corners": bool(draw(generator, 0, 1))}
        if draw(generator, 0, 1):
            options["size"] = tuple(draw(generator, 1, 12 if axes < 3 else 6) for _ in range(axes))
        else:
            options["scale_factor"] = tuple(pick(generator, [0.5, 1.5, 2.0, 2.5, 3.0]) for _ in range(axes))
            if draw(generator, 0, 1):
                options["recompute_scale_factor"] = True
        layer = nn.Upsample(mode=mode, **options)
        if runs(layer, (1, *sizes)):
            return layer, (1, *sizes)


def _windows(generator, axes):
    kernel = tuple(draw(generator, 1, 4) for _ in range(axes))
    return {
        "kernel_size": kernel,
        "stride": tuple(draw(generator, 1, 4) for _ in range(axes)),
        "padding": tuple(draw(generator, 0, k // 2) for k in kernel),
        "ceil_mode": bool(draw(generator, 0, 1)),
    }


def runs(layer, shape):
    """Whether torch takes inputs of `shape`, and returns any output."""
    try:
        return layer(torch.zeros(1, *shape, dtype=torch.float64)).numel() > 0
    except (RuntimeError, ValueError):
        return False
