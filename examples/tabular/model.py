"""A small network for tables of numbers."""

from torch import nn


def build(features: int = 30, hidden: int = 32, classes: int = 2) -> nn.Module:
    """From standardised features to logits: two hidden layers of `hidden` units."""
    return nn.Sequential(
        nn.Linear(features, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )
