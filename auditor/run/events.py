"""What happens in a run, as it happens. The terminal bar, the JSON event log and the tests hear the same events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class RunStarted:
    """`tasks` will be computed; `cached` are in the store already. `work` is what share of the run each task makes."""

    tasks: int
    cached: int
    work: dict[str, float]


@dataclass(frozen=True)
class TaskStarted:
    digest: str
    op: str
    label: str
    checks: tuple[str, ...]
    device: str


@dataclass(frozen=True)
class TaskProgress:
    digest: str
    done: int
    total: int


@dataclass(frozen=True)
class TaskHalved:
    """Memory ran out; the task starts again with `batch_size`."""

    digest: str
    batch_size: int


@dataclass(frozen=True)
class TaskFinished:
    """`error` is one line, `traceback` the whole story of a failure."""

    digest: str
    label: str
    status: Literal["ok", "failed", "skipped"]
    seconds: float = 0.0
    error: str | None = None
    traceback: str | None = None


@dataclass(frozen=True)
class Noted:
    """Something a reader of the results should know: a batch halved, a worker lost."""

    text: str


@dataclass(frozen=True)
class RunFinished:
    seconds: float
    computed: int
    failed: int
    skipped: int


Event = RunStarted | TaskStarted | TaskProgress | TaskHalved | TaskFinished | Noted | RunFinished
Listener = Callable[[Event], None]
