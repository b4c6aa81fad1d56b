"""Progress for people: a bar with time left where there is a terminal, a line per task where there is a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from auditor.run.events import (
    Event,
    Listener,
    Noted,
    RunFinished,
    RunStarted,
    TaskFinished,
    TaskHalved,
    TaskProgress,
    TaskStarted,
)

PAUSE = 10.0
"""Seconds between two lines about a task that is still running, in a log."""


class Clock:
    """How much of a run is done, and how long the rest will take at the pace so far."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._started = now()
        self._work: dict[str, float] = {}
        self._part: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._started, self._work, self._part = self._now(), event.work, {}
        elif isinstance(event, TaskProgress) and event.total:
            self._part[event.digest] = event.done / event.total
        elif isinstance(event, TaskFinished):
            self._part[event.digest] = 1.0

    @property
    def done(self) -> float:
        """Between 0 and 1."""
        return min(1.0, sum(part * self._work.get(digest, 0.0) for digest, part in self._part.items()))

    @property
    def seconds(self) -> float:
        return self._now() - self._started

    @property
    def left(self) -> float | None:
        """Seconds, None while too little is done to tell."""
        return None if self.done < 0.01 else self.seconds * (1 - self.done) / self.done


def terminal_listener(stream: TextIO) -> Listener:
    """A bar if `stream` is a terminal, lines otherwise. The listener ends with the run; see `close` for other ends."""
    return Bar(stream) if stream.isatty() else Lines(stream)


class Lines:
    """One line when a task starts, at most one every `PAUSE` seconds while it runs, one when it ends."""

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._now = now
        self._clock = Clock(now)
        self._labels: dict[str, str] = {}
        self._said: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        self._clock(event)
        text = self._text(event)
        if text is not None:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing to put away."""

    def _text(self, event: Event) -> str | None:
        match event:
            case RunStarted():
                return f"{_counted(event.tasks, 'task')} to run, {event.cached} in the store"
            case TaskStarted():
                self._labels[event.digest], self._said[event.digest] = described(event), self._now()
                return None
            case TaskProgress() if self._now() - self._said.get(event.digest, 0.0) >= PAUSE:
                self._said[event.digest] = self._now()
                return (
                    f"{self._head()} {self._labels.get(event.digest, '')}: {event.done} of {event.total}{self._left()}"
                )
            case TaskFinished():
                label = self._labels.get(event.digest, event.label)
                outcome = f"in {duration(event.seconds)}" if event.status == "ok" else f"{event.status}: {event.error}"
                return f"{self._head()} {label} {outcome}"
            case TaskHalved():
                return (
                    f"{self._head()} {self._labels.get(event.digest, '')}: out of memory, batch now {event.batch_size}"
                )
            case Noted():
                return f"note: {event.text}"
            case RunFinished():
                return summary(event)
        return None

    def _head(self) -> str:
        return f"[{self._clock.done:4.0%}]"

    def _left(self) -> str:
        return "" if self._clock.left is None else f", {duration(self._clock.left)} left"


class Bar:
    """The whole run in one line, what runs now below it, within 80 columns. Failures and notes stay above."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._clock = Clock()
        self._console = Console(file=stream)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[note]}", style="dim"),
            console=self._console,
            transient=True,
        )
        self._whole = self._progress.add_task("audit", total=1.0, note="")
        self._rows: dict[str, object] = {}

    def __call__(self, event: Event) -> None:
        self._clock(event)
        match event:
            case RunStarted():
                if event.tasks:
                    self._progress.start()
            case TaskStarted():
                name = shortened(described(event), 30)
                self._rows[event.digest] = self._progress.add_task(name, total=None, note="")
            case TaskProgress() if event.digest in self._rows:
                self._progress.update(self._rows[event.digest], completed=event.done, total=event.total)  # pyright: ignore[reportArgumentType]
            case TaskFinished():
                self._drop(event.digest)
                if event.status == "failed":
                    self._console.print(f"failed: {event.label}: {event.error}", style="red", markup=False)
            case TaskHalved() if event.digest in self._rows:
                self._progress.update(self._rows[event.digest], note=f"batch {event.batch_size}")  # pyright: ignore[reportArgumentType]
            case Noted():
                self._console.print(f"note: {event.text}", style="dim", markup=False)
            case RunFinished():
                self.close()
                if event.computed or event.failed or event.skipped:
                    self._console.print(summary(event), markup=False)
        left = self._clock.left
        note = "" if left is None else f"{duration(left)} left"
        self._progress.update(self._whole, completed=self._clock.done, note=note)

    def close(self) -> None:
        """Takes the bar off the screen; to be called where a run ends by an exception."""
        self._progress.stop()

    def _drop(self, digest: str) -> None:
        row = self._rows.pop(digest, None)
        if row is not None:
            self._progress.remove_task(row)  # pyright: ignore[reportArgumentType]


def described(event: TaskStarted) -> str:
    """`forward (robust/standard + 5)`: the op and the checks that wait for it."""
    named = list(event.checks)
    if not named:
        return event.label
    more = f" + {len(named) - 1}" if len(named) > 1 else ""
    return f"{event.label} ({named[0]}{more})"


def shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def duration(seconds: float) -> str:
    """ "0.4 s", "12 s", "3 min 05 s", "2 h 10 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def summary(event: RunFinished) -> str:
    parts = [f"{_counted(event.computed, 'task')} run in {duration(event.seconds)}"]
    parts += [f"{event.failed} failed"] if event.failed else []
    parts += [f"{event.skipped} skipped"] if event.skipped else []
    return ", ".join(parts)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
