"""Progress of a training: a bar on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from auditor.methods.training import Epoch

EVERY = 5.0
"""Seconds between two lines where there is no terminal."""


class Progress:
    """Shows every finished epoch of a training on `stream`."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.started = self.told = time.monotonic()
        self.bar: Any = None

    def __call__(self, epoch: Epoch) -> None:
        text = f"loss {epoch.loss:.3f}  accuracy {epoch.accuracy:.3f}"
        if epoch.epsilon is not None and epoch.lipschitz is not None:
            text += f"  ε {epoch.epsilon:.3g}  K ≈ {epoch.lipschitz:.3g}"
        if self.stream.isatty():
            self._draw(epoch, text)
            return
        now = time.monotonic()
        if now - self.told >= EVERY or epoch.number == epoch.epochs:
            left = (now - self.started) / epoch.number * (epoch.epochs - epoch.number)
            print(f"epoch {epoch.number}/{epoch.epochs}  {text}  {left:.0f} s left", file=self.stream, flush=True)
            self.told = now

    def _draw(self, epoch: Epoch, text: str) -> None:
        if self.bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self.bar = RichProgress(
                TextColumn("training"), BarColumn(bar_width=16), MofNCompleteColumn(), TimeRemainingColumn(),
                TextColumn("{task.description}"), console=Console(file=self.stream),
            )  # fmt: skip
            self.bar.start()
            self.bar.add_task("", total=epoch.epochs)
        self.bar.update(self.bar.task_ids[0], completed=epoch.number, description=text)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
