"""A training from beginning to end: read, train or go on, save, prove, note."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from auditor.digest import digest
from auditor.errors import Interrupted, ModelError
from auditor.train.checkpoint import Checkpoint, checkpoint_path, read_checkpoint
from auditor.train.declared import declared_recipe, training_section
from auditor.train.evaluation import evaluate
from auditor.train.files import save_weights
from auditor.train.identity import read_spec, training_digest
from auditor.train.note import summary, write_note
from auditor.train.progress import Progress
from auditor.train.subject import build, complete, held_out, rows_of

if TYPE_CHECKING:
    import torch
    from torch import nn

    from auditor.loading import Tensors
    from auditor.methods.training import Recipe
    from auditor.spec.document import Document


class Made(NamedTuple):
    """A trained model, and what the note says of its making."""

    model: nn.Module
    recipe: Recipe | None
    note: dict[str, Any]


def train(
    spec: Path,
    out: Path,
    *,
    seed: int | None = None,
    device: str = "auto",
    epochs: int | None = None,
    stream: TextIO | None = None,
    read: Callable[..., Tensors] = rows_of,
    until: float = math.inf,
) -> dict[str, Any]:
    """Trains on the source `train`, writes the state dict to `out` and a note beside it; returns the note.

    `seed` and `epochs` replace the spec's; progress goes to `stream`, stderr if absent; `read` stands in for
    `rows_of`, for who trains often and reads once. The epoch in which `time.monotonic()` passes `until` is kept and
    the training stopped. A checkpoint beside `out` lets the same call go on after it was stopped, to the same
    weights. The accuracies certified at the training radius are proved, not estimated. Raises SpecErrors, UsageError,
    NotAvailable, DataError, ModelError, Unsupported for a network that has no bound, and Interrupted.
    """
    document, shown = read_spec(spec), stream or sys.stderr
    section = training_section(document)
    seed = document.defaults.seed if seed is None else seed

    import torch

    from auditor.plan import devices, require_present
    from auditor.run.determinism import deterministic

    named = devices(device)
    require_present(named)
    place = torch.device(named[0])
    rows = read(document, "train")
    with deterministic(str(place)), _seeded(seed):
        if section.recipe is None:
            made = _trained(document, out, rows, seed, place, epochs, shown, until)
        else:
            from auditor.train.own import made_by_own_recipe

            model, seconds = made_by_own_recipe(document, rows, seed, place)
            made = Made(model, None, {"seconds": seconds})
    save_weights(made.model, out)
    sources = {"train": rows, **held_out(document, read)}
    note = {
        "digest": training_digest(document, seed=seed, epochs=epochs),
        "seed": seed,
        "device": _device(place),
        **made.note,
        **evaluate(document, made.model, made.recipe, sources, place),
    }
    written = write_note(note, document, out)
    checkpoint_path(out).unlink(missing_ok=True)
    print(summary(written, out), file=shown)
    return written


def _trained(
    document: Document,
    out: Path,
    rows: Tensors,
    seed: int,
    place: torch.device,
    epochs: int | None,
    stream: TextIO,
    until: float,
) -> Made:
    """The model trained by the recipe that the spec declares, from a checkpoint of this training if there is one."""
    import torch

    from auditor.methods.training import train as epochs_of

    recipe = declared_recipe(document, epochs)
    identity = _identity(document, seed, epochs, place)
    kept = read_checkpoint(checkpoint_path(out), identity, stream)
    model = build(document).to(place)
    network = complete(document, model).to(place)
    inputs, labels = rows.inputs.to(place), rows.labels.to(place)
    generator = torch.Generator().manual_seed(seed)
    curve = [] if kept is None else list(kept.curve)
    finished, before = len(curve), 0.0 if kept is None else kept.seconds
    progress, started = Progress(stream, finished), time.perf_counter()
    keeping = Checkpoint(checkpoint_path(out), identity, finished)
    state = None if kept is None else kept.state
    try:
        for epoch in epochs_of(network, inputs, labels, recipe, generator=generator, state=state):
            finished = epoch.number
            progress(epoch)
            if not math.isfinite(epoch.loss):
                raise ModelError(
                    f"training diverged: the loss of epoch {epoch.number} is {epoch.loss}",
                    remedy="lower the learning rate, warm up, or let epsilon start smaller",
                )
            curve.append({name: value for name, value in epoch._asdict().items() if name not in ("epochs", "state")})
            stopped = epoch.number < recipe.epochs and time.monotonic() >= until
            keeping.save(epoch.state, curve, before + time.perf_counter() - started, last=stopped)
            if stopped:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise Interrupted(_stopped(finished, keeping.saved)) from None
    finally:
        progress.close()
    seconds = before + time.perf_counter() - started
    note = {"epochs": recipe.epochs, "resumed_after": None if kept is None else len(kept.curve), "curve": curve}
    return Made(model, recipe, {**note, "seconds": round(seconds, 3)})


def _identity(document: Document, seed: int, epochs: int | None, place: torch.device) -> str:
    """What a checkpoint has to share with a training that goes on from it, so that it reaches the same weights."""
    from auditor import __version__
    from auditor.plan.machine import torch_version

    stated = training_digest(document, seed=seed, epochs=epochs)
    return digest({"training": stated, "auditor": __version__, "torch": torch_version(), "device": place.type})


def _stopped(finished: int, saved: int) -> str:
    if not saved:
        return f"stopped after {finished} epochs, none of which was kept yet"
    return f"stopped after epoch {finished}; epoch {saved} is kept, and the same command goes on from there"


def _device(place: torch.device) -> dict[str, str]:
    import torch

    return {"kind": place.type, "name": torch.cuda.get_device_name(place) if place.type == "cuda" else "cpu"}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Fresh weights follow `seed`; torch's own generator is then as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
