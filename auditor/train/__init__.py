"""`auditor train`: makes the model that a spec's `training` section declares, and notes how it was made."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from auditor.digest import digest
from auditor.errors import DataError, ModelError
from auditor.train.declared import declared_recipe
from auditor.train.progress import Progress

if TYPE_CHECKING:
    import torch
    from torch import nn

    from auditor.methods.training import Recipe
    from auditor.spec.document import Document


def train(
    spec: Path,
    out: Path,
    *,
    seed: int | None = None,
    device: str = "auto",
    epochs: int | None = None,
    stream: TextIO | None = None,
) -> dict[str, Any]:
    """Trains on the source `train`, writes the state dict to `out` and a note beside it; returns the note.

    `seed` and `epochs` replace the spec's; progress goes to `stream`, stderr if absent. The accuracy certified at the
    training radius is proved, not estimated. Raises SpecErrors, UsageError, NotAvailable, DataError and ModelError.
    """
    document = read(spec)
    recipe = declared_recipe(document, epochs)
    seed = document.defaults.seed if seed is None else seed

    import torch

    from auditor.methods.training import train as epochs_of
    from auditor.plan import devices
    from auditor.run.determinism import deterministic

    place = torch.device(devices(device)[0])
    started = time.perf_counter()
    inputs, labels = (tensor.to(place) for tensor in training_rows(document))
    with deterministic(str(place)), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(document).to(place)
        shown = Progress(stream or sys.stderr)
        generator = torch.Generator().manual_seed(seed)
        last = None
        for last in epochs_of(model, inputs, labels, recipe, generator=generator):
            shown(last)
        shown.close()
    assert last is not None
    note: dict[str, Any] = {
        "format": "auditor-training/1",
        "digest": training_digest(spec),
        "spec": {"name": document.name, "path": spec.as_posix(), "sha256": document.sha256},
        "recipe": document.training.model_dump(mode="json", by_alias=True) if document.training else None,
        "epochs": recipe.epochs,
        "seed": seed,
        "rows": len(labels),
        "device": str(place),
        "torch": torch.__version__,
        "seconds": round(time.perf_counter() - started, 3),
        "loss": last.loss,
        "train_accuracy": last.accuracy,
    }
    save(model, out)
    note |= proved(model, document, recipe, inputs, labels)
    note_path(out).write_text(json.dumps(note, indent=1) + "\n", "utf-8")
    print(summary(note, out), file=stream or sys.stderr)
    return note


def read(spec: Path) -> Document:
    from auditor.checks.registry import discover
    from auditor.spec import load

    return load(spec, discover())


def note_path(model: Path) -> Path:
    """Where the note about a model's making lies: `model.training.json` beside `model.pt`."""
    return model.with_suffix(".training.json")


def training_digest(spec: Path) -> str:
    """What the weights depend on as far as the spec states it: model, training data, recipe, seed."""
    document = read(spec)
    source = document.data.get("train")
    return digest(
        {
            "model": document.model,
            "train": source,
            "training": document.training,
            "seed": document.defaults.seed,
        }
    )


def training_rows(document: Document) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs, normalised if the model is, and labels of the source `train`. Raises DataError."""
    import torch

    from auditor.sources import manifests
    from auditor.sources import read as rows_of

    if "train" not in document.data:
        raise DataError(f"{document.path} declares no source named `train`", remedy="add it under `data`")
    found = manifests(document.data, document.model, base=document.path.parent)["train"]
    batch = rows_of(found, slice(None))
    inputs = torch.from_numpy(batch.inputs)
    if (stated := document.model.normalize) is not None:
        from auditor.loading import Normalize

        mean, std = (
            [float(value)] if isinstance(value, (int, float)) else list(value) for value in (stated.mean, stated.std)
        )
        inputs = Normalize(mean, std, tuple(document.model.input.shape))(inputs)
    return inputs, torch.from_numpy(batch.labels)


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


def proved(
    model: nn.Module, document: Document, recipe: Recipe, inputs: torch.Tensor, labels: torch.Tensor
) -> dict[str, float]:
    """Share of the training rows certified and right at the final radius, by proved bounds; empty without GloRo."""
    import copy

    import torch

    from auditor.methods.robustness import bound_model, certify
    from auditor.methods.training import GloRo

    if not isinstance(recipe.objective, GloRo):
        return {}
    exact = copy.deepcopy(model).cpu().double().eval()
    bounds = bound_model(exact, tuple(document.model.input.shape))
    rows = inputs.cpu().double()
    with torch.no_grad():
        logits = torch.cat([exact(part) for part in rows.split(256)])
    epsilon = recipe.objective.epsilon.at(1.0)
    lengths = rows.flatten(1).norm(dim=1)
    made = certify(logits, bounds.margins, epsilon, labels=labels.cpu(), logits_error=bounds.error.at(lengths))
    assert made.vra_radius is not None
    return {
        "epsilon": epsilon,
        "lipschitz_upper": float(bounds.margins.max()),
        "train_vra": float((made.vra_radius >= epsilon).double().mean()),
    }


def save(model: nn.Module, out: Path) -> None:
    """The state dict, as safetensors if `out` ends so; written whole or not at all."""
    import torch
    from safetensors.torch import save_file

    out.parent.mkdir(parents=True, exist_ok=True)
    weights = {key: tensor.cpu().contiguous() for key, tensor in model.state_dict().items()}
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f"{out.stem}-", suffix=out.suffix)
    os.close(handle)
    if out.suffix == ".safetensors":
        save_file(weights, name)
    else:
        torch.save(weights, name)
    os.chmod(name, 0o644)
    os.replace(name, out)


def summary(note: dict[str, Any], out: Path) -> str:
    parts = [f"train accuracy {note['train_accuracy']:.3f}"]
    if "train_vra" in note:
        parts.append(f"certified and right at ε {note['epsilon']:g}: {note['train_vra']:.3f}")
    return f"{out}: {note['epochs']} epochs in {note['seconds']:.0f} s, {', '.join(parts)}"
