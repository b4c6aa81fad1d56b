"""The network of thesis B.5 for EuroSAT: 64×64 RGB patches, ten classes, built only of layers that certify tightly."""

from collections import OrderedDict

from torch import nn

from auditor.methods.training.layers import MinMax


def build(classes: int = 10) -> nn.Sequential:
    """Two convolutional blocks of width 32 and 64 (3×3, min-max, invertible down-sampling), two dense layers of width
    256, and the logits. Layers `blocks.0`, `blocks.1` and `head` are sequential all the way down."""
    return nn.Sequential(
        OrderedDict(
            blocks=nn.Sequential(_block(3, 32), _block(32 * 4, 64)),
            head=nn.Sequential(
                nn.Flatten(),
                nn.Linear(64 * 4 * 16 * 16, 256),
                MinMax(),
                nn.Linear(256, 256),
                MinMax(),
                nn.Linear(256, classes),
            ),
        )
    )


def _block(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, kernel_size=3, padding=1), MinMax(), nn.PixelUnshuffle(2))
