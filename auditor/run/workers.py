"""A pool of worker processes, each bound to a device. Values travel through the store, never through the pipe."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait

from auditor.errors import TaskFailed
from auditor.plan.task import Task
from auditor.run.evaluator import Computed, Evaluator, TaskError
from auditor.run.events import Event, Noted, TaskFinished
from auditor.run.execute import Run
from auditor.run.store import Store

ATTEMPTS = 2
"""How often a task is started whose worker dies; after that it has failed."""


def on_workers(run: Run, devices: list[str]) -> None:
    """Computes the agenda on one worker per entry of `devices`. No worker outlives the call."""
    workers: list[_Worker] = []
    attempts: dict[str, int] = {}
    try:
        workers = [_Worker(run, device) for device in devices]
        while run.agenda:
            _hand_out(run, workers, attempts)
            busy = [worker for worker in workers if worker.task is not None]
            assert busy or not run.agenda, "tasks are left, none is ready and none is running"
            for ready in wait([worker.pipe for worker in busy]):
                worker = next(worker for worker in busy if worker.pipe is ready)
                try:
                    message = worker.pipe.recv()
                except (EOFError, OSError):
                    _replace(run, workers, worker, attempts)
                else:
                    _take(run, workers, worker, message)
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """The scheduler's side of a worker: its process, its pipe, the task it has in hand."""

    def __init__(self, run: Run, device: str) -> None:
        self.device = device
        self.task: str | None = None
        self.drop: list[str] = []
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        with _passive_waiting(), _deaf_to_ctrl_c():
            arguments = (theirs, run.plan.tasks, run.plan.checks_of, str(run.store.root), device, run.deadline)
            self.process = context.Process(target=_work, args=arguments, daemon=True)
            self.process.start()
        theirs.close()

    def start(self, digest: str) -> None:
        self.task = digest
        self.pipe.send(_Order(digest, tuple(self.drop)))
        self.drop = []

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


@dataclass(frozen=True)
class _Order:
    """Compute `digest`, after forgetting `drop`."""

    digest: str
    drop: tuple[str, ...]


@dataclass(frozen=True)
class _Done:
    computed: list[Computed] = field(default_factory=list)


@dataclass(frozen=True)
class _Failed:
    digest: str
    error: BaseException
    story: str
    computed: list[Computed] = field(default_factory=list)


def _hand_out(run: Run, workers: list[_Worker], attempts: dict[str, int]) -> None:
    idle = [worker for worker in workers if worker.task is None]
    while idle and (digest := next(run.agenda.ready(), None)):
        if why := run.out_of_time():
            _forget(workers, run.skip(digest, why))
            continue
        run.agenda.start(digest)
        attempts[digest] = attempts.get(digest, 0) + 1
        worker = idle.pop(0)
        try:
            worker.start(digest)
        except OSError:
            _replace(run, workers, worker, attempts)


def _take(run: Run, workers: list[_Worker], worker: _Worker, message: Event | _Done | _Failed) -> None:
    if not isinstance(message, (_Done, _Failed)):
        run.emit(message)
        return
    assert worker.task is not None
    digest, worker.task = worker.task, None
    run.computed += message.computed
    if isinstance(message, _Failed):
        _forget(workers, run.failed(message.digest, message.error, message.story))
    else:
        _forget(workers, run.succeeded(digest))


def _replace(run: Run, workers: list[_Worker], worker: _Worker, attempts: dict[str, int]) -> None:
    """A worker died: its task starts once more on a new one, and fails if that dies too."""
    assert worker.task is not None
    digest = worker.task
    worker.process.join(5)
    why = _death(worker.process.exitcode)
    label = run.plan.tasks[digest].op.label
    run.emit(Noted(f"{label}: the worker on {worker.device} {why}"))
    worker.stop()
    workers[workers.index(worker)] = _Worker(run, worker.device)
    if attempts[digest] < ATTEMPTS:
        run.agenda.put_back(digest)
        return
    error = TaskFailed(
        f"{label}: its worker {why}, {ATTEMPTS} times", remedy="see whether memory ran out; use fewer --jobs"
    )
    run.emit(TaskFinished(digest, label, "failed", error=error.what))
    _forget(workers, run.failed(digest, error, str(error)))


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _forget(workers: list[_Worker], digests: list[str]) -> None:
    for worker in workers:
        worker.drop += digests


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Children born within ignore SIGINT from the first instruction on: it is the scheduler that answers Ctrl-C.

    Only the main thread may set handlers; elsewhere a worker turns deaf a moment later, in `_work`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


@contextlib.contextmanager
def _passive_waiting() -> Iterator[None]:
    """Threads of a worker started within sleep while they wait, so that workers do not take each other's cores."""
    before = os.environ.get("OMP_WAIT_POLICY")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_WAIT_POLICY"]


def _work(
    pipe: Connection,
    tasks: Mapping[str, Task],
    checks: Mapping[str, tuple[str, ...]],
    root: str,
    device: str,
    deadline: float | None,
) -> None:
    """A worker's life: take an order, compute, answer; end with the scheduler."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    evaluator = Evaluator(tasks, Store(root), device=device, emit=pipe.send, checks=checks, deadline=deadline)
    try:
        while True:
            order: _Order = pipe.recv()
            evaluator.forget(order.drop)
            pipe.send(_answer(evaluator, order.digest))
    except (EOFError, ConnectionError):
        return


def _end_with_parent() -> None:
    """A scheduler that is killed cannot stop its workers, which would hold their devices to the end of a task."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _answer(evaluator: Evaluator, digest: str) -> _Done | _Failed:
    try:
        evaluator.compute(digest)
        return _Done(_cost(evaluator))
    except TaskError as error:
        return _Failed(error.digest, _portable(error.error), error.story, _cost(evaluator))
    except Exception as error:
        return _Failed(digest, _portable(error), traceback.format_exc(), _cost(evaluator))


def _cost(evaluator: Evaluator) -> list[Computed]:
    computed, evaluator.computed = evaluator.computed, []
    return computed


def _portable(error: BaseException) -> BaseException:
    """`error` itself where it survives pickling, else a TaskFailed that says the same."""
    import pickle

    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return TaskFailed(f"{type(error).__name__}: {error}")
    return error
