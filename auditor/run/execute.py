"""Running a plan: in this process, or on a pool of workers; the same results either way."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from auditor.errors import CertificateBroken, DataError, HashMismatch, Interrupted, ModelError, OutOfTime
from auditor.plan.estimate import shares
from auditor.plan.plan import Plan
from auditor.records import Judgement, TaskRecord
from auditor.run.agenda import Agenda
from auditor.run.evaluator import Computed, Evaluator, TaskError, one_line
from auditor.run.events import Event, Listener, Noted, RunFinished, RunStarted, TaskFinished
from auditor.run.outcome import Failure, Outcome
from auditor.run.store import Store

STOPPING = (CertificateBroken, ModelError, DataError, HashMismatch)
"""Errors that end the audit instead of becoming findings: our own mistake, and what exit code 3 stands for."""


def execute(
    plan: Plan,
    *,
    store: Store,
    devices: Sequence[str] = ("cpu",),
    jobs: int = 1,
    listeners: Iterable[Listener] = (),
    fresh: bool = False,
    time_budget: float | None = None,
) -> Outcome:
    """Computes what the plan's judgements need and the store lacks, and returns them with a record of every task.

    With one device and one job everything runs in this process; otherwise on `max(jobs, len(devices))` workers, each
    bound to one device. `fresh` computes everything anew, in the place of what the store holds. After `time_budget`
    seconds no further task is started, and one that reports progress is ended on its way. A task that raises is
    recorded and its descendants are skipped; errors in `STOPPING` are raised. Raises Interrupted on Ctrl-C: what had
    finished is kept.
    """
    run = Run(plan, store, listeners=tuple(listeners), fresh=fresh, time_budget=time_budget)
    evaluator = Evaluator(
        plan.tasks, store, device=devices[0], emit=run.emit, checks=plan.checks_of, deadline=run.deadline
    )
    try:
        run.start()
        workers = max(jobs, len(devices))
        if workers == 1 or not run.agenda:
            in_this_process(run, evaluator)
        else:
            from auditor.run.workers import on_workers

            on_workers(run, [devices[i % len(devices)] for i in range(workers)])
        return run.finish(evaluator)
    except KeyboardInterrupt:
        done = f"{run.closed} of {len(run.agenda.todo)} tasks had finished and are kept"
        raise Interrupted(f"interrupted; {done}", remedy="the same command goes on from there") from None


class Run:
    """The state of one execution: the agenda, what failed, what it cost, who listens."""

    def __init__(
        self, plan: Plan, store: Store, *, listeners: tuple[Listener, ...], fresh: bool, time_budget: float | None
    ) -> None:
        self.plan = plan
        self.store = store
        self.agenda = Agenda(plan, exists=(lambda digest: False) if fresh else store.has)
        self.failures: dict[str, Failure] = {}
        self.computed: list[Computed] = []
        self.notes: dict[str, None] = {}
        self.closed = 0
        self._listeners = listeners
        self._time_budget = time_budget
        self._started = time.perf_counter()
        self.deadline = None if time_budget is None else time.monotonic() + time_budget

    def emit(self, event: Event) -> None:
        if isinstance(event, Noted):
            self.notes[event.text] = None
        for listener in self._listeners:
            listener(event)

    def start(self) -> None:
        todo = self.agenda.todo
        stored = sum(task.op.stored for task in self.plan.tasks.values())
        self.emit(
            RunStarted(len(todo), stored - len(todo), shares(self.plan, todo, self.store.timings() if todo else ()))
        )

    def succeeded(self, digest: str) -> list[str]:
        """Returns the values that can be forgotten."""
        self.closed += 1
        return self.agenda.close(digest)

    def failed(self, digest: str, error: BaseException, story: str) -> list[str]:
        """Records the failure and skips what depends on it. Raises what ends the audit."""
        if isinstance(error, STOPPING):
            raise error
        if isinstance(error, OutOfTime):
            return self.skip(digest, self.out_of_time() or error.what)
        label = self.plan.tasks[digest].op.label
        failure = Failure("failed", digest, label, one_line(error), error, story)
        self.failures[digest] = failure
        over = self.agenda.close(digest)
        for below in self.agenda.block(digest):
            over += self.skip(below, f"needs {label!r}, which failed: {failure.text}", failure)
        return over

    def skip(self, digest: str, why: str, cause: Failure | None = None) -> list[str]:
        label = self.plan.tasks[digest].op.label
        error, story = (cause.error, cause.traceback) if cause else (None, None)
        self.failures[digest] = Failure("skipped", cause.digest if cause else digest, label, why, error, story)
        self.emit(TaskFinished(digest, label, "skipped", error=why))
        return self.agenda.close(digest)

    def out_of_time(self) -> str | None:
        """Why no task may start any more, None while one may."""
        if self._time_budget is None or time.perf_counter() - self._started < self._time_budget:
            return None
        return f"the time budget of {self._time_budget:g} s is used up"

    def finish(self, evaluator: Evaluator) -> Outcome:
        results: dict[str, Judgement | Failure] = {}
        for check, ref in self.plan.judgements.items():
            results[check] = self._result(ref.digest, evaluator)
        self.computed += evaluator.computed
        failed = sum(failure.status == "failed" for failure in self.failures.values())
        seconds = time.perf_counter() - self._started
        self.emit(RunFinished(seconds, len(self.computed), failed, len(self.failures) - failed))
        return Outcome(results, self._records(), tuple(self.notes), seconds)

    def _result(self, digest: str, evaluator: Evaluator) -> Judgement | Failure:
        if digest in self.failures:
            return self.failures[digest]
        try:
            return evaluator.value(digest)
        except TaskError as error:
            self.failed(error.digest, error.error, error.story)
            return self.failures.setdefault(digest, self.failures[error.digest])
        finally:
            evaluator.forget([digest])

    def _records(self) -> tuple[TaskRecord, ...]:
        costs: dict[str, list[Computed]] = {}
        for item in self.computed:
            costs.setdefault(item.digest, []).append(item)
        return tuple(self._record(digest, costs.get(digest, [])) for digest in self.plan.tasks)

    def _record(self, digest: str, costs: list[Computed]) -> TaskRecord:
        task, failure = self.plan.tasks[digest], self.failures.get(digest)
        cached = not costs and digest not in self.agenda.needed
        entry = self.store.entry(digest) if cached and task.op.stored else None
        status = failure.status if failure else "ok" if costs or cached else "skipped"
        halvings = entry.halvings if entry else max((item.halvings for item in costs), default=0)
        if entry and halvings:
            self.notes[f"{task.op.label}: computed by an earlier run with its batch halved {halvings} times"] = None
        return TaskRecord(
            op=task.op.name,
            digest=digest,
            seconds=sum(item.seconds for item in costs),
            cached=cached,
            status=status,
            inputs=task.inputs,
            checks=self.plan.checks_of[digest],
            halvings=halvings,
            error=failure.text if failure else None,
        )


def in_this_process(run: Run, evaluator: Evaluator) -> None:
    """One task after another, in the order of the plan."""
    while digest := next(run.agenda.ready(), None):
        if why := run.out_of_time():
            evaluator.forget(run.skip(digest, why))
            continue
        try:
            evaluator.compute(digest)
        except TaskError as error:
            evaluator.forget(run.failed(error.digest, error.error, error.story))
        else:
            evaluator.forget(run.succeeded(digest))
