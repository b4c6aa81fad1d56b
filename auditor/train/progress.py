"""Progress of a training: a line that changes on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from auditor.methods.training import Epoch

EVERY = 5.0
"""Seconds between two lines where there is no terminal."""
WIDE = 100
"""Columns from which there is room for a bar beside the numbers of an epoch."""


class Progress:
    """Shows every finished epoch of a training on `stream`; the first, the last and in a log some between.

    `before` epochs were done by an earlier process, and count for nothing in the time that is left.
    """

    def __init__(self, stream: TextIO, before: int = 0) -> None:
        self.stream, self.before = stream, before
        self.started = time.monotonic()
        self.told: float | None = None
        self.bar: Any = None

    def __call__(self, epoch: Epoch) -> None:
        if self.stream.isatty():
            self._draw(epoch)
            return
        now = time.monotonic()
        if self.told is None or now - self.told >= EVERY or epoch.number == epoch.epochs:
            from auditor.run.terminal import duration

            left = (now - self.started) / (epoch.number - self.before) * (epoch.epochs - epoch.number)
            ahead = f"  {duration(left)} left" if epoch.number < epoch.epochs else ""
            place = f"{epoch.number:>{len(str(epoch.epochs))}}/{epoch.epochs}"
            print(f"epoch {place}  {described(epoch)}{ahead}", file=self.stream, flush=True)
            self.told = now

    def _draw(self, epoch: Epoch) -> None:
        if self.bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            console = Console(file=self.stream)
            bar = (TextColumn("training"), BarColumn(bar_width=16)) if console.width >= WIDE else ()
            self.bar = RichProgress(
                *bar, MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"), console=console
            )
            self.bar.start()
            self.bar.add_task("", total=epoch.epochs, completed=self.before)
        self.bar.update(self.bar.task_ids[0], completed=epoch.number, description=described(epoch))

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()


def described(epoch: Epoch) -> str:
    """The numbers of one epoch, in one width. ≈ marks what training only estimates."""
    text = f"loss {epoch.loss:<6.4g}  accuracy {epoch.accuracy:.3f}"
    if epoch.robust is not None and epoch.epsilon is not None:
        name = "under attack" if epoch.lipschitz is None else "VRA ≈"
        text += f"  {name} {epoch.robust:.3f}  ε {epoch.epsilon:.3g}"
    if epoch.lipschitz is not None:
        text += f"  K ≈ {epoch.lipschitz:.3g}"
    return text
