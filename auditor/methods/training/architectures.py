"""The networks of the thesis as functions, to be named in a spec or called; weights as torch draws them.

    model:
      architecture: auditor.methods.training.architectures:gloro_6c2f
      arguments: {classes: 10, shape: [3, 32, 32]}

`shape` is that of an input, [channels, height, width]. MinMax follows every layer but the last; zero padding is such
that a convolution of stride s gives a height and width s times smaller (TensorFlow's SAME).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import nn

from auditor.methods.training.layers import LinearResidual, MinMax, invertible_downsampling


def gloro_2c2f(classes: int = 10, shape: Sequence[int] = (1, 28, 28)) -> nn.Sequential:
    """For MNIST (thesis A.4): c(16,4,2) c(32,4,2) d(100) d(classes)."""
    return _network(shape, [(16, 4, 2), (32, 4, 2)], [100], classes)


def gloro_4c3f(classes: int = 10, shape: Sequence[int] = (1, 28, 28)) -> nn.Sequential:
    """For MNIST at a large radius (thesis A.4): c(32,3,1) c(32,4,2) c(64,3,1) c(64,4,2) d(512) d(512) d(classes)."""
    return _network(shape, [(32, 3, 1), (32, 4, 2), (64, 3, 1), (64, 4, 2)], [512, 512], classes)


def gloro_6c2f(classes: int = 10, shape: Sequence[int] = (3, 32, 32)) -> nn.Sequential:
    """For CIFAR-10 (thesis A.4): twice c(w,3,1) c(w,3,1) c(w,4,2), of width 32 and 64, then d(512) d(classes)."""
    blocks = [(width, *taps) for width in (32, 64) for taps in ((3, 1), (3, 1), (4, 2))]
    return _network(shape, blocks, [512], classes)


def gloro_8c2f(classes: int = 200, shape: Sequence[int] = (3, 64, 64)) -> nn.Sequential:
    """For Tiny-ImageNet: twice c(w,3,1) c(w,3,1) c(w,4,2), w 64 and 128, c(256,3,1) c(256,4,2), d(256) d(classes).

    As thesis B.5 describes it: the list in A.4 lacks one c(128,3,1) and d(256), and so has 7 and 1 layers of the 8 and
    2 in its name.
    """
    blocks = [(width, *taps) for width in (64, 128) for taps in ((3, 1), (3, 1), (4, 2))]
    return _network(shape, [*blocks, (256, 3, 1), (256, 4, 2)], [256], classes)


def invertible_2c3f(
    classes: int = 10, shape: Sequence[int] = (3, 64, 64), widths: Sequence[int] = (32, 64), dense: int = 256
) -> nn.Sequential:
    """For EuroSAT and CIFAR-100 (thesis B.5): blocks of a 3×3 convolution and invertible down-sampling, of `widths`,
    two layers of width `dense`, and the logits.
    """
    channels, *sizes = shape
    layers: list[nn.Module] = []
    for width in widths:
        _check(sizes, 2)
        layers += [nn.Conv2d(channels, width, kernel_size=3, padding=1), MinMax(), invertible_downsampling()]
        channels, sizes = 4 * width, [size // 2 for size in sizes]
    return nn.Sequential(*layers, nn.Flatten(), *_dense([channels * sizes[0] * sizes[1], dense, dense, classes]))


def dense_3x1000(classes: int = 5, inputs: int = 5) -> nn.Sequential:
    """For ACAS Xu (thesis B.5): three hidden layers of 1,000 neurons."""
    return nn.Sequential(*_dense([inputs, 1000, 1000, 1000, classes]))


def liresnet(
    classes: int = 10, shape: Sequence[int] = (3, 32, 32), width: int = 64, depth: int = 4, dense: int = 256
) -> nn.Sequential:
    """A small LiResNet after Hu et al. (2023): invertible down-sampling, a 3×3 convolution, `depth` linear residual
    blocks, a 4×4 convolution of stride 4 and twice the width, one dense layer, and the logits.
    """
    channels, *sizes = shape
    _check(sizes, 8)
    stem = [invertible_downsampling(), nn.Conv2d(4 * channels, width, kernel_size=3, padding=1), MinMax()]
    neck = [nn.Conv2d(width, 2 * width, kernel_size=4, stride=4), MinMax(), nn.Flatten()]
    blocks = [LinearResidual(width) for _ in range(depth)]
    return nn.Sequential(*stem, *blocks, *neck, *_dense([2 * width * sizes[0] * sizes[1] // 64, dense, classes]))


def _network(
    shape: Sequence[int], convolutions: Sequence[tuple[int, int, int]], dense: Sequence[int], classes: int
) -> nn.Sequential:
    """Convolutions (channels, taps, stride) and dense widths, in the thesis's notation c(…) and d(…)."""
    channels, *sizes = shape
    layers: list[nn.Module] = []
    for width, taps, stride in convolutions:
        _check(sizes, stride)
        layers += [nn.Conv2d(channels, width, taps, stride, padding=(taps - 1) // 2), MinMax()]
        channels, sizes = width, [size // stride for size in sizes]
    return nn.Sequential(*layers, nn.Flatten(), *_dense([channels * sizes[0] * sizes[1], *dense, classes]))


def _dense(widths: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), MinMax()]
    return layers[:-1]


def _check(sizes: Sequence[int], stride: int) -> None:
    if len(sizes) != 2 or any(size % stride for size in sizes):
        raise ValueError(
            f"a step of {stride} does not divide images of {list(sizes)}; give a shape [c, h, w] that it does"
        )
