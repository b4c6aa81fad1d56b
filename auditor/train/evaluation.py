"""What a trained model is worth: accuracy, and under GloRo what is proved of it, row by row in float64."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

    from auditor.loading import Tensors
    from auditor.methods.robustness import Bounds
    from auditor.methods.training import GloRo, Recipe
    from auditor.spec.document import Document

BATCH = 256


def evaluate(
    document: Document, model: nn.Module, recipe: Recipe | None, sources: Mapping[str, Tensors], place: torch.device
) -> dict[str, Any]:
    """`measured` on each of `sources`; under GloRo also the `guarantee`, the radius, its norm and the largest K_ji,
    proved.

    The radius is that at the end of the run, in the units of the spec's input. Nothing of the training's estimates
    enters: bounds are proved from the weights as they are saved. Computed on `place`; `sources` lie on the CPU.
    """
    import torch

    from auditor.methods.robustness import bound_model
    from auditor.methods.robustness.arithmetic import plain_convolutions
    from auditor.methods.training import GloRo
    from auditor.tagged import written
    from auditor.train.subject import complete

    exact = complete(document, copy.deepcopy(model)).to(place).double().eval()
    stated = recipe.objective if recipe is not None and isinstance(recipe.objective, GloRo) else None
    bounds = None if stated is None else bound_model(exact, tuple(document.model.input.shape), stated.norm)
    measured = {}
    for name, rows in sources.items():
        with torch.no_grad(), plain_convolutions():
            logits = torch.cat([exact(part.to(place).double()).cpu() for part in rows.inputs.split(BATCH)])
        right = float((logits.argmax(1) == rows.labels).double().mean())
        measured[name] = {"rows": len(rows.labels), "accuracy": right}
        if stated is not None and bounds is not None:
            measured[name] |= _certified(logits, rows, bounds, stated)
    if stated is None or bounds is None:
        return {"measured": measured}
    return {
        "guarantee": written(stated.guarantee),
        "epsilon": stated.epsilon.at(1.0),
        "norm": stated.norm,
        "lipschitz_upper": float(bounds.margins.max()),
        "measured": measured,
    }


def _certified(logits: torch.Tensor, rows: Tensors, bounds: Bounds, stated: GloRo) -> dict[str, float]:
    """Clean accuracy and VRA in the guarantee's own sense, and the share it rejects (thesis 7.4.1)."""
    import torch

    from auditor.methods.robustness import certify

    epsilon, labels = stated.epsilon.at(1.0), rows.labels
    lengths = torch.cat([part.double().flatten(1).norm(dim=1) for part in rows.inputs.split(BATCH)])
    made = certify(
        logits, bounds.reach, epsilon, stated.guarantee, labels=labels, logits_error=bounds.error.at(lengths)
    )
    assert made.vra_radius is not None
    order = logits.argsort(dim=1, descending=True, stable=True)
    rank = (order == labels[:, None]).int().argmax(1)
    sizes = made.admissible.shape[1]
    clean = (rank < sizes) & made.admissible.gather(1, rank.clamp_max(sizes - 1)[:, None])[:, 0]
    held = made.robust_set.gather(1, labels[:, None])[:, 0]
    return {
        "clean_accuracy": float(clean.double().mean()),
        "vra": float(held.double().mean()),
        "rejection_rate": float((~made.certified).double().mean()),
    }
