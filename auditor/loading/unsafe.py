"""Model files that execute code when they are loaded: refused, unless the user insists."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from auditor.errors import LoadRefused, ModelError
from auditor.loading.detection import Kind, strange_globals
from auditor.loading.weights import SAVE_SAFELY


class _Exported(nn.Module):
    """An exported program: it is in the mode it was exported in, and torch refuses to be asked for another."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, x: Tensor) -> Tensor:
        return self.program(x)

    def train(self, mode: bool = True) -> _Exported:
        return self


def refuse(path: Path, kind: Kind) -> LoadRefused:
    """The error for a file of an unsafe kind."""
    names = strange_globals(path) if kind is Kind.PICKLE else ()
    naming = f" (it names {', '.join(names[:3])}{', …' if len(names) > 3 else ''})" if names else ""
    return LoadRefused(
        f"model file {path.name} is {kind.value}{naming}: loading it could execute code", remedy=SAVE_SAFELY
    )


def load_unsafe(path: Path, kind: Kind) -> nn.Module:
    """Loads the module, executing whatever the file says. Raises ModelError if that fails or gives no module."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind is Kind.TORCHSCRIPT:
                module = torch.jit.load(path, map_location="cpu")
            elif kind is Kind.EXPORTED:
                module = _Exported(torch.export.load(path).module())
            else:
                module = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:
        raise ModelError(f"model file {path.name} cannot be loaded as {kind.value}: {error}") from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"model file {path.name} holds {type(module).__name__}, expected a module or a state dict")
    return module
