"""Networks with branches, drawn at random, that fit an input of shape [channels, size, size]."""

import torch
from torch import nn
from torch.nn import functional

from auditor.methods.training.layers import MinMax


class Draw:
    """Random choices from one generator."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def between(self, low, high):
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def among(self, *options):
        return options[self.between(0, len(options) - 1)]


def convolution(draw, channels, out, *, stride=1):
    """A convolution that keeps the size, or divides it by the stride."""
    taps, dilation = draw.among(1, 3, 3, 5), draw.among(1, 1, 2)
    extent = (taps - 1) * dilation + 1
    return nn.Conv2d(
        channels,
        out,
        taps,
        stride,
        extent // 2,
        dilation=dilation,
        groups=draw.among(1, 2),
        padding_mode=draw.among("zeros", "zeros", "circular", "reflect", "replicate"),
    )


class Residual(nn.Module):
    """w(x) ± f(x), with f linear or not, in place or not."""

    def __init__(self, draw, channels):
        super().__init__()
        self.inner = convolution(draw, channels, channels)
        self.norm = draw.among(nn.Identity(), nn.BatchNorm2d(channels))
        self.shortcut = draw.among(nn.Identity(), convolution(draw, channels, channels), nn.BatchNorm2d(channels))
        self.between = draw.among(nn.Identity(), nn.Identity(), nn.ReLU(), nn.Tanh())
        self.how = draw.between(0, 3)

    def forward(self, x):
        branch = self.between(self.norm(self.inner(x)))
        if self.how == 0:
            return self.shortcut(x) + branch
        if self.how == 1:
            return torch.add(self.shortcut(x), branch, alpha=-0.7)
        if self.how == 2:
            branch = branch * 2
            branch += x
            return branch
        return 0.5 * (branch - self.shortcut(x))


class Dense(nn.Module):
    """[x, f(x)], with halves swapped, or x rearranged."""

    def __init__(self, draw, channels):
        super().__init__()
        self.inner, self.how = convolution(draw, channels, 2), draw.between(0, 2)

    def forward(self, x):
        if self.how == 0:
            return torch.cat((x, functional.leaky_relu(self.inner(x), 0.3)), dim=1)
        first, second = x.chunk(2, dim=1)
        if self.how == 1:
            return torch.cat([second, first, first, second], 1)
        return torch.cat((first, self.inner(x).flip(3), second.transpose(2, 3)), 1)


class Resampled(nn.Module):
    """Pools or strides, and enlarges again."""

    def __init__(self, draw, channels):
        super().__init__()
        self.down = draw.among(
            nn.AvgPool2d(2), nn.AvgPool2d(3, 2, 1), nn.MaxPool2d(3, 2, 1),
            convolution(draw, channels, channels, stride=2),
        )  # fmt: skip
        self.how = draw.between(0, 2)
        self.up = nn.ConvTranspose2d(channels, channels, 2, 2, groups=draw.among(1, 2))

    def forward(self, x):
        down = self.down(x)
        if self.how == 0:
            return functional.interpolate(down, scale_factor=2)
        if self.how == 1:
            return self.up(down)
        return functional.pad(down, (1, 1, 1, 1), mode="reflect")[:, :, : x.shape[2], 1:]


class Graph(nn.Module):
    """A trunk of blocks, with a head that averages, flattens or adds up two heads."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        draw = Draw(seed)
        self.shape = (draw.among(2, 4), *[draw.among(4, 6)] * 2)
        blocks, sample = [], torch.zeros(1, *self.shape)
        for _ in range(draw.between(1, 4)):
            channels = sample.shape[1]
            block = draw.among(
                Residual(draw, channels), Residual(draw, channels), Dense(draw, channels), Resampled(draw, channels),
                convolution(draw, channels, draw.among(2, 4)), MinMax(), nn.GELU(),
                nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True)),
                nn.BatchNorm2d(channels),
            )  # fmt: skip
            try:
                sample = block.eval()(sample.clone())
            except RuntimeError:
                continue
            blocks.append(block)
        self.blocks = nn.Sequential(*blocks)
        self.how = draw.between(0, 2)
        classes = draw.between(2, 4)
        self.head = nn.Linear(sample.shape[1] if self.how == 0 else sample[0].numel(), classes)
        self.second = nn.Linear(sample[0].numel(), classes)
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.running_var.uniform_(0.05, 3)
                    module.running_mean.normal_()
                    module.weight.normal_()
        self.double().eval().requires_grad_(False)

    def forward(self, x):
        value = self.blocks(1.0 * x)
        if self.how == 0:
            return self.head(value.mean((2, 3)))
        flat = value.flatten(1)
        return self.head(flat) if self.how == 1 else self.head(flat) - self.second(flat)


def strained(seed: int) -> Graph:
    """A random network in float32; two in three have biases that are large and removed again."""
    model = Graph(seed).float()
    generator = torch.Generator().manual_seed(seed)
    for block in model.blocks:
        inner, norm = getattr(block, "inner", None), getattr(block, "norm", None)
        if isinstance(inner, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and seed % 3:
            bias = 2.0 ** float(24 * torch.rand((), generator=generator))
            assert inner.bias is not None
            assert norm.running_mean is not None
            inner.bias.add_(bias)
            norm.running_mean.copy_(inner.bias)
    return model
