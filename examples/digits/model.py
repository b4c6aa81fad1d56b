"""A small convolutional network for 8×8 handwritten digits, built only of layers that can be certified tightly."""

from torch import nn

from auditor.methods.training.layers import MinMax


def build(width: int = 16, hidden: int = 128) -> nn.Sequential:
    """One convolution, invertible down-sampling and two dense layers, with min-max activations throughout."""
    return nn.Sequential(
        nn.Conv2d(1, width, kernel_size=3, padding=1),
        MinMax(),
        nn.PixelUnshuffle(2),
        nn.Flatten(),
        nn.Linear(width * 64, hidden),
        MinMax(),
        nn.Linear(hidden, 10),
    )
