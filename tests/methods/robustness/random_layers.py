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
