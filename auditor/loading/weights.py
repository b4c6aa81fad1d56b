"""Weights from state dicts and safetensors into a module."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from auditor.errors import LoadRefused, ModelError

NESTED = ("state_dict", "model_state_dict")
"""Keys under which training scripts keep the weights of a checkpoint."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a file torch.save wrote. Raises LoadRefused if it holds more than weights, ModelError if it is
    broken."""
    try:
        # Given a stream, torch goes by the bytes; given a name, by its ending too.
        with warnings.catch_warnings(), path.open("rb") as stream:
            warnings.simplefilter("ignore")
            found: Any = torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise LoadRefused(
            f"model file {path.name} holds more than weights: {_first_line(error)}", remedy=SAVE_SAFELY
        ) from error
    except Exception as error:
        raise ModelError(
            f"model file {path.name} is cut off or damaged: {_first_line(error)}", remedy="copy it again"
        ) from error
    if isinstance(found, Mapping):
        nested = next((key for key in NESTED if isinstance(found.get(key), Mapping)), None)
        found = found if nested is None else found[nested]
    if not isinstance(found, Mapping) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        holds = (
            f"a map of {', '.join(map(repr, list(found)[:5]))}" if isinstance(found, Mapping) else type(found).__name__
        )
        raise ModelError(
            f"model file {path.name} holds {holds}, expected a state dict: names to tensors",
            remedy="save it with torch.save(model.state_dict(), ...)",
        )
    return {str(name): value for name, value in found.items()}


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises ModelError for a file that is not whole."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"model file {path.name} is not a whole safetensors file: {error}", remedy="copy it again"
        ) from error


def fill(network: nn.Module, state: Mapping[str, Tensor], path: Path, architecture: str) -> None:
    """Copies `state` into `network`. Raises ModelError that names every missing and unexpected key and every other
    shape."""
    own = network.state_dict()
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    shapes = [
        f"{name} is {list(state[name].shape)}, expected {list(value.shape)}"
        for name, value in own.items()
        if name in state and isinstance(value, Tensor) and state[name].shape != value.shape
    ]
    if missing or unexpected or shapes:
        lines = [f"model file {path.name} does not fit {architecture}"]
        lines += [f"missing from the file: {_some(missing)}"] if missing else []
        lines += [f"unknown to the architecture: {_some(unexpected)}"] if unexpected else []
        lines += [f"other shapes: {_some(shapes, '; ')}"] if shapes else []
        raise ModelError("\n    ".join(lines), remedy=_remedy(missing, unexpected), code="weights-mismatch")
    bad = [name for name, value in state.items() if value.is_floating_point() and not bool(torch.isfinite(value).all())]
    if bad:
        raise ModelError(
            f"model file {path.name}: weights are NaN or infinite in {_some(bad)}", remedy="train it again"
        )
    network.load_state_dict(dict(state))


def _remedy(missing: list[str], unexpected: list[str]) -> str:
    for prefix in ("module.", "_orig_mod.", "network.", "model."):
        stripped = {name.removeprefix(prefix) for name in unexpected if name.startswith(prefix)}
        if missing and stripped == set(missing):
            return f"the names start with {prefix!r}; save the inner module's state_dict(), without its wrapper"
    return "name the architecture the file was trained with, and its model.arguments"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _some(names: Sequence[str], between: str = ", ") -> str:
    rest = f"{between}… ({len(names)} in all)" if len(names) > 6 else ""
    return between.join(names[:6]) + rest


SAVE_SAFELY = (
    "save the weights alone, torch.save(model.state_dict(), path), and name the code that builds the module as "
    "model.architecture; or pass --allow-unsafe-load if you trust whoever made the file"
)
