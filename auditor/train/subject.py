"""What is trained, and on which rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.errors import DataError, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from auditor.loading import Tensors
    from auditor.spec.document import Document

TRAIN, TEST = "train", "test"
"""The sources a training looks for by name."""


def training_source(document: Document) -> str:
    """The name of the source to train on. Raises DataError where the spec has none of that name."""
    if TRAIN not in document.data:
        raise DataError(f"{document.path} declares no source named `train`", remedy="add it under `data`")
    return TRAIN


def rows_of(document: Document, source: str, rows: str | None = None) -> Tensors:
    """The rows of a source, in the units of the spec, on the CPU. Raises DataError."""
    from auditor.loading import tensors
    from auditor.sources import manifests, parse_slice, read

    name = training_source(document) if source == TRAIN else source
    found = manifests(document.data, document.model, base=document.path.parent)[name]
    return tensors(read(found, None if rows is None else parse_slice(rows)))


def held_out(document: Document, read: Callable[..., Tensors]) -> dict[str, Tensors]:
    """Rows the model was not trained on: those that checks look at by default, else the source `test`; none if neither
    is declared.
    """
    over = document.defaults.over
    if over is not None and over.data != TRAIN:
        return {str(over): read(document, over.data, over.rows)}
    return {TEST: read(document, TEST)} if TEST in document.data else {}


def build(document: Document) -> nn.Module:
    """The architecture with fresh weights. Raises ModelError where it does not give one logit per class."""
    import torch

    from auditor.loading import build as build_architecture

    section = document.model
    if section.architecture is None:
        raise ModelError(f"{document.path} names no model.architecture to train", remedy="add path/to/file.py:callable")
    model = build_architecture(section, document.path.parent)
    with torch.no_grad():
        shape = tuple(model.eval()(torch.zeros(2, *section.input.shape)).shape)
    if shape != (2, len(section.classes)):
        raise ModelError(
            f"the architecture maps two inputs to shape {shape}, expected (2, {len(section.classes)})",
            remedy="return one logit per class of model.classes",
        )
    return model


def complete(document: Document, model: nn.Module) -> nn.Module:
    """`model` between what the spec says of its input and its output, as the audit will see it: radii are in units of
    the spec's input, and the highest logit wins. `model` itself where the spec says nothing.
    """
    from collections import OrderedDict

    from torch import nn

    from auditor.loading import Negate

    parts: list[tuple[str, nn.Module]] = [("network", model)]
    if (normalize := normalization(document)) is not None:
        parts.insert(0, ("normalize", normalize))
    if document.model.decision == "lowest":
        parts.append(("decide", Negate()))
    return model if len(parts) == 1 else nn.Sequential(OrderedDict(parts))


def normalization(document: Document) -> nn.Module | None:
    """The layer that `model.normalize` states."""
    stated = document.model.normalize
    if stated is None:
        return None
    from auditor.loading import Normalize

    mean, std = (
        [float(value)] if isinstance(value, (int, float)) else list(value) for value in (stated.mean, stated.std)
    )
    return Normalize(mean, std, tuple(document.model.input.shape))
