"""Training functions of the user's own: `training.recipe: file.py:callable`, (model, data, seed, device) -> model."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from auditor.errors import AuditorError, ModelError
from auditor.lookup.code import load_callable, parse_callable
from auditor.train.subject import build, normalization

if TYPE_CHECKING:
    import torch
    from torch import nn

    from auditor.loading import Tensors
    from auditor.spec.document import Document


def made_by_own_recipe(document: Document, rows: Tensors, seed: int, place: torch.device) -> tuple[nn.Module, float]:
    """The model that the spec's function returns, in eval mode, and the seconds it took.

    The function is given the architecture with fresh weights and the training rows, both on the device, inputs
    normalised where the spec says so. It has no checkpoint of ours. Raises ModelError for a function that cannot be
    found or fails, or that returns weights the architecture does not take.
    """
    assert document.training is not None
    stated = str(document.training.recipe)
    target = parse_callable(stated)
    if target is None:
        raise ModelError(f"training.recipe {stated!r} is not a callable", remedy="write path/to/file.py:callable")
    function = load_callable(target, document.path.parent, subject="training.recipe", error=ModelError)
    normalize = normalization(document)
    inputs = rows.inputs if normalize is None else normalize(rows.inputs)
    data = rows._replace(inputs=inputs.to(place), labels=rows.labels.to(place))
    started = time.perf_counter()
    try:
        model = function(build(document).to(place), data, seed, str(place))
    except AuditorError:
        raise
    except Exception as error:
        raise ModelError(f"training.recipe: {target} raised {type(error).__name__}: {error}") from error
    return _checked(model, document, stated).eval(), round(time.perf_counter() - started, 3)


def _checked(model: object, document: Document, stated: str) -> nn.Module:
    from torch import nn

    if not isinstance(model, nn.Module):
        raise ModelError(
            f"training.recipe: {stated} returned {type(model).__name__}, expected a torch.nn.Module",
            remedy="return the model that was handed in, trained",
        )
    try:
        build(document).load_state_dict(model.state_dict())
    except RuntimeError as error:
        raise ModelError(
            f"training.recipe: {stated} returned a model whose weights do not fit model.architecture: {error}",
            remedy="return the model that was handed in, trained",
        ) from error
    return model
