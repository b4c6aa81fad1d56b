"""One process's hands: it has a device, reads inputs from the store, computes tasks, and forgets what nobody needs."""

from __future__ import annotations

import contextlib
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditor.errors import AuditorError, OutOfTime, RecordError
from auditor.plan.task import Task, with_values
from auditor.run.codec import decode, encode
from auditor.run.determinism import deterministic, seeded
from auditor.run.events import Event, Noted, TaskFinished, TaskHalved, TaskProgress, TaskStarted
from auditor.run.memory import HALVINGS, is_out_of_memory, release
from auditor.run.store import Store

PAUSE = 0.1
INDETERMINATE = "does not have a deterministic implementation"


class TaskError(Exception):
    """Computing task `digest` raised `error`; `story` is its traceback."""

    def __init__(self, digest: str, error: BaseException, story: str) -> None:
        super().__init__(digest, error, story)
        self.digest = digest
        self.error = error
        self.story = story


@dataclass(frozen=True)
class Computed:
    """What computing a task cost this process."""

    digest: str
    seconds: float
    halvings: int


class Evaluator:
    """Values of tasks in this process, on `device`. Reports every computation as events.

    `checks` names, for the events, the checks that need a task. `computed` grows by what was computed here.
    After `deadline` (on the clock of `time.monotonic`) a task that reports progress is ended on its way.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        store: Store,
        *,
        device: str = "cpu",
        emit: Callable[[Event], None] = lambda event: None,
        checks: Mapping[str, tuple[str, ...]] | None = None,
        deadline: float | None = None,
    ) -> None:
        self.tasks = tasks
        self.store = store
        self.device = device
        self.emit = emit
        self.checks = checks or {}
        self.deadline = deadline
        self.computed: list[Computed] = []
        self._memory: dict[str, Any] = {}

    def value(self, digest: str) -> Any:
        """From memory, from the store, or computed with all it needs. Raises TaskError where an op raised."""
        if digest in self._memory:
            return self._memory[digest]
        task = self.tasks[digest]
        if task.op.stored and self.store.has(digest):
            try:
                self._memory[digest] = self.store.read(task)
                return self._memory[digest]
            except RecordError as error:
                self.emit(Noted(f"{error}; computed again"))
        return self.compute(digest)

    def compute(self, digest: str) -> Any:
        """Computes the task whatever the store holds, stores its value if its op is stored, and returns it."""
        task = self.tasks[digest]
        for source in task.inputs:
            self.value(source)
        arguments = with_values(dict(task.parameters), self.value)
        self.emit(TaskStarted(digest, task.op.name, task.op.label, self.checks.get(digest, ()), self.device))
        started = time.perf_counter()
        try:
            value, halvings = self._call(task, arguments)
            seconds = time.perf_counter() - started
            if task.op.stored:
                parts = encode(value)
                self.store.write(task, parts, seconds=seconds, device=self.device, halvings=halvings)
                value = decode(parts, modules=[task.op.function.__module__])
        except Exception as error:
            seconds = time.perf_counter() - started
            story = traceback.format_exc()
            if not isinstance(error, OutOfTime):
                self.emit(TaskFinished(digest, task.op.label, "failed", seconds, one_line(error), story))
            raise TaskError(digest, _without_frames(error), story) from None
        self.store.record_timing(task, seconds, self.device)
        self._memory[digest] = value
        self.computed.append(Computed(digest, seconds, halvings))
        self.emit(TaskFinished(digest, task.op.label, "ok", seconds))
        return value

    def forget(self, digests: Iterable[str]) -> None:
        """Drops values from memory. One needed again comes from the store or is computed again."""
        for digest in digests:
            self._memory.pop(digest, None)

    def _call(self, task: Task, arguments: dict[str, Any]) -> tuple[Any, int]:
        """The value, and how often the batch was halved for it."""
        for halvings in range(HALVINGS + 1):
            try:
                return self._attempt(task, arguments), halvings
            except Exception as error:
                size = arguments.get("batch_size")
                if not is_out_of_memory(error) or halvings == HALVINGS or not isinstance(size, int) or size < 2:
                    raise
            release()
            arguments = {**arguments, "batch_size": size // 2}
            self.emit(TaskHalved(task.digest, size // 2))
            self.emit(Noted(f"{task.op.label}: out of memory, batch halved from {size} to {size // 2}"))
        raise AssertionError("unreachable")

    def _attempt(self, task: Task, arguments: dict[str, Any]) -> Any:
        injected: dict[str, Any] = {}
        if "device" in task.op.injected:
            injected["device"] = self.device
        if "progress" in task.op.injected:
            injected["progress"] = self._progress(task.digest)
        if not task.op.device:
            with seeded(task.digest):
                return task.op.function(**arguments, **injected)
        with deterministic(self.device), seeded(task.digest), self._indeterminism_noted(task):
            return task.op.function(**arguments, **injected)

    def _progress(self, digest: str) -> Callable[[int, int], None]:
        """Reports at most every `PAUSE` seconds, and the end. Raises OutOfTime where there is more to do than time."""
        last = 0.0

        def report(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if self.deadline is not None and now > self.deadline and done < total:
                raise OutOfTime("the time budget is used up")
            if done >= total or now - last > PAUSE:
                last = now
                self.emit(TaskProgress(digest, done, total))

        return report

    @contextlib.contextmanager
    def _indeterminism_noted(self, task: Task) -> Iterator[None]:
        """Turns torch's warning that an algorithm is not deterministic into a note; other warnings go their way."""
        with warnings.catch_warnings():
            show = warnings.showwarning
            warnings.filterwarnings("always", message=f".*{INDETERMINATE}.*")

            def listen(message: Any, *rest: Any, **more: Any) -> None:
                if INDETERMINATE in str(message):
                    self.emit(Noted(f"{task.op.label}: part of it has no deterministic algorithm"))
                else:
                    show(message, *rest, **more)

            warnings.showwarning = listen
            yield


def _without_frames(error: BaseException) -> BaseException:
    """`error` without its tracebacks, whose frames would keep the task's tensors alive as long as the outcome."""
    chained: BaseException | None = error
    while chained is not None:
        chained.__traceback__ = None
        chained = chained.__cause__ or chained.__context__
    return error


def one_line(error: BaseException) -> str:
    """The error in one line: what an AuditorError found, or the kind and first line of any other."""
    if isinstance(error, AuditorError):
        return error.what.splitlines()[0]
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
