"""Where a training that was stopped goes on: a file beside the model, written whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from auditor.train.files import whole

FORMAT = "auditor-checkpoint/1"

SHARE = 0.1
"""Saving takes at most about this share of the time: epochs that are over sooner are not all kept."""


class Kept(NamedTuple):
    """What a checkpoint holds: the trainer's state, one entry of the curve per finished epoch, the time it took."""

    state: Mapping[str, Any]
    curve: Sequence[Mapping[str, Any]]
    seconds: float


class Checkpoint:
    """Keeps the latest epoch of one training in `path`; `saved` is its number, 0 where there is none yet."""

    def __init__(self, path: Path, identity: str, saved: int = 0) -> None:
        self.path, self.identity, self.saved = path, identity, saved
        self._next = 0.0

    def save(
        self, state: Mapping[str, Any], curve: Sequence[Mapping[str, Any]], seconds: float, *, last: bool = False
    ) -> None:
        """Writes the state after `len(curve)` epochs, unless the one before was written so lately that it would cost
        more than its share; the `last` before a stop in any case.
        """
        import torch

        started = time.monotonic()
        if started < self._next and not last:
            return
        with whole(self.path) as place:
            torch.save(
                {
                    "format": FORMAT,
                    "identity": self.identity,
                    "state": dict(state),
                    "curve": list(curve),
                    "seconds": seconds,
                },
                place,
            )
        self.saved = len(curve)
        ended = time.monotonic()
        self._next = ended + (ended - started) * (1 / SHARE - 1)


def checkpoint_path(model: Path) -> Path:
    """`model.checkpoint.pt` beside `model.pt`."""
    return model.with_suffix(".checkpoint.pt")


def read_checkpoint(path: Path, identity: str, stream: TextIO) -> Kept | None:
    """The checkpoint in `path` if it is of the training `identity`; says on `stream` what it does with it.

    None where there is no file, or one of another training or that cannot be read, which the next epoch replaces.
    Nothing in the file is executed.
    """
    import torch

    if not path.exists():
        return None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        of_this = found["format"] == FORMAT and found["identity"] == identity
    except Exception as error:
        print(f"{path} cannot be read ({type(error).__name__}): starting from the first epoch", file=stream)
        return None
    if not of_this:
        print(f"{path} is of another spec, data, seed or machine: starting from the first epoch", file=stream)
        return None
    kept = Kept(found["state"], found["curve"], found["seconds"])
    print(f"{path}: going on after epoch {len(kept.curve)}", file=stream)
    return kept
