"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place at the end; removed if writing fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o644)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def save_weights(model: nn.Module, out: Path) -> None:
    """The state dict, as safetensors if `out` ends so."""
    import torch
    from safetensors.torch import save_file

    weights = {key: tensor.cpu().contiguous() for key, tensor in model.state_dict().items()}
    with whole(out) as place:
        if out.suffix == ".safetensors":
            save_file(weights, place)
        else:
            # Through a stream, since torch writes the name of a file into it.
            with place.open("wb") as stream:
                torch.save(weights, stream)
