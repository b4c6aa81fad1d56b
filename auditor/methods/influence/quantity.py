"""Quantities of interest (thesis 3.2.1): what about the network's behaviour is explained, as one number per row.

A quantity over classes is a linear functional of the scores, so that it agrees with a linear model's coefficients
(axiom 4.1): one class, the difference of two, or the lead of one over the mean of the rest.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from auditor.tensors import Labels, Logits
from auditor.terms import Channel, Class, Neuron, Quantity

__all__ = ["Channel", "Class", "Neuron", "Quantity", "functional", "value"]


def functional(quantity: Class, logits: Logits, labels: Labels | None) -> Float[Tensor, "batch classes"]:
    """Each row's weights on the class scores; "predicted" is the class with the highest of `logits`.

    Raises ValueError for a class that does not exist, and where `label` is asked for and `labels` is None.
    """
    classes = logits.shape[1]
    of = _classes(quantity.of, logits, labels)
    weights = torch.nn.functional.one_hot(of, classes).to(logits.dtype)
    if quantity.against == "rest":
        return weights - (1 - weights) / (classes - 1)
    if quantity.against is not None:
        against = _classes(quantity.against, logits, labels)
        weights = weights - torch.nn.functional.one_hot(against, classes).to(logits.dtype)
    return weights


def value(
    quantity: Quantity,
    output: Float[Tensor, "batch *output"],
    weights: Float[Tensor, "batch classes"] | None = None,
) -> Float[Tensor, " batch"]:
    """The quantity at `output`: the logits, weighed by each row's functional, or the output of the unit's layer."""
    match quantity:
        case Class(on=score):
            assert weights is not None
            scores = torch.softmax(output, dim=1) if score == "probability" else output
            return (weights * scores).sum(dim=1)
        case Neuron(index=index):
            return output[(slice(None), *((index,) if isinstance(index, int) else index))]
        case Channel(index=index, reduce="max"):
            return output[:, index].flatten(1).amax(dim=1)
        case Channel(index=index):
            return output[:, index].flatten(1).mean(dim=1)


def _classes(which: int | str, logits: Logits, labels: Labels | None) -> Labels:
    rows, classes = logits.shape
    if which == "predicted":
        return logits.argmax(dim=1)
    if which == "label":
        if labels is None:
            raise ValueError("the quantity speaks of each row's label: pass labels")
        return labels.to(logits.device)
    assert isinstance(which, int)
    if not 0 <= which < classes:
        raise ValueError(f"class {which} does not exist: the model has {classes} classes")
    return torch.full((rows,), which, dtype=torch.int64, device=logits.device)
