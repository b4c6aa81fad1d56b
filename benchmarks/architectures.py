"""Architectures that people train, by their building blocks, as narrow or as wide as asked: to bound, not to train.

Weights are torch's own initialisation; batch statistics are drawn, since those of a fresh network are 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from auditor.methods.training.architectures import liresnet


def _convolution(inputs: int, outputs: int, taps: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution without bias and its batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, taps, stride, taps // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)
    )


class Residual(nn.Module):
    """relu(body(x) + shortcut(x)), in place as torchvision writes it; the shortcut is 1×1 where shapes change."""

    def __init__(self, body: nn.Module, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        same = stride == 1 and inputs == outputs
        self.body, self.relu = body, nn.ReLU(inplace=True)
        self.shortcut = nn.Identity() if same else _convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(x)
        out += self.shortcut(x)
        return self.relu(out)


def _stages(block: Callable[[int, int, int], nn.Module], width: int, depth: int, inputs: int) -> list[nn.Module]:
    """Four stages of `depth` blocks, each but the first half as large and twice as wide as the one before."""
    blocks: list[nn.Module] = []
    for stage in range(4):
        for place in range(depth):
            outputs = width * 2**stage
            blocks.append(block(inputs, outputs, 2 if stage and not place else 1))
            inputs = outputs
    return blocks


def _head(channels: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]


def resnet18(width: int = 64, classes: int = 10) -> nn.Module:
    """Of He et al. (2016), with the stem for 32×32."""

    def block(inputs: int, outputs: int, stride: int) -> nn.Module:
        body = nn.Sequential(_convolution(inputs, outputs, 3, stride), nn.ReLU(), _convolution(outputs, outputs))
        return Residual(body, inputs, outputs, stride)

    return nn.Sequential(
        _convolution(3, width), nn.ReLU(), *_stages(block, width, 2, width), *_head(8 * width, classes)
    )


def resnext(width: int = 64, classes: int = 10, groups: int = 8) -> nn.Module:
    """One grouped bottleneck a stage (Xie et al. 2017)."""

    def block(inputs: int, outputs: int, stride: int) -> nn.Module:
        body = nn.Sequential(
            _convolution(inputs, outputs, 1), nn.ReLU(), _convolution(outputs, outputs, 3, stride, groups), nn.ReLU(),
            _convolution(outputs, outputs, 1),
        )  # fmt: skip
        return Residual(body, inputs, outputs, stride)

    return nn.Sequential(
        _convolution(3, width), nn.ReLU(), *_stages(block, width, 1, width), *_head(8 * width, classes)
    )


def vgg11(width: int = 64, classes: int = 10) -> nn.Module:
    """Of Simonyan & Zisserman (2015), for 32×32, with batch normalisation."""
    layers: list[nn.Module] = []
    inputs = 3
    for outputs, pooled in ((1, 1), (2, 1), (4, 0), (4, 1), (8, 0), (8, 1), (8, 0), (8, 1)):
        layers += [_convolution(inputs, width * outputs), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] * pooled
        inputs = width * outputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(), nn.Linear(inputs, classes))


class Dense(nn.Module):
    """x with what is computed of it behind it (Huang et al. 2017)."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, growth, 3, 1, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.body(x)), 1)


def densenet(width: int = 64, classes: int = 10) -> nn.Module:
    """Two blocks of four layers with a transition between them."""
    growth, inputs = width // 2, width
    layers: list[nn.Module] = [_convolution(3, width)]
    for place in range(2):
        layers += [Dense(inputs + each * growth, growth) for each in range(4)]
        inputs += 4 * growth
        if not place:
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, inputs // 2, 1), nn.AvgPool2d(2)]
            inputs //= 2
    return nn.Sequential(*layers, nn.BatchNorm2d(inputs), nn.ReLU(), *_head(inputs, classes))


def mobilenet(width: int = 64, classes: int = 10) -> nn.Module:
    """Depthwise and pointwise convolutions with ReLU6 (Howard et al. 2017)."""

    def block(inputs: int, outputs: int, stride: int) -> nn.Module:
        depthwise = _convolution(inputs, inputs, 3, stride, groups=inputs)
        return nn.Sequential(depthwise, nn.ReLU6(), _convolution(inputs, outputs, 1), nn.ReLU6())

    return nn.Sequential(
        _convolution(3, width), nn.ReLU6(), *_stages(block, width, 2, width), *_head(8 * width, classes)
    )


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "ResNet-18": resnet18,
    "ResNeXt": resnext,
    "VGG-11": vgg11,
    "DenseNet": densenet,
    "MobileNet": mobilenet,
    "LiResNet": lambda width=64: liresnet(width=width),
}
SHAPE = (3, 32, 32)


def made(name: str, **options: int) -> nn.Module:
    """The network of that name in eval mode, frozen, from seed 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ARCHITECTURES[name](**options).eval().requires_grad_(False)
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 1.5)
                layer.running_mean = torch.randn(layer.num_features) / 4
                layer.running_var = torch.rand(layer.num_features) + 0.5
    return model
