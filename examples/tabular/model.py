"""A small network for tables of standardised numbers, built only of layers that can be certified tightly."""

from torch import nn

from auditor.methods.training.layers import MinMax


def build(features: int = 6, hidden: int = 32, classes: int = 2) -> nn.Sequential:
    """From `features` standardised numbers to logits, over two hidden layers of `hidden` units."""
    return nn.Sequential(
        nn.Linear(features, hidden),
        MinMax(),
        nn.Linear(hidden, hidden),
        MinMax(),
        nn.Linear(hidden, classes),
    )
