"""What a plan will cost: time from what the same ops took before, memory from what must be held. Unknown is None."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from auditor.plan.machine import kind_of
from auditor.plan.plan import Plan, to_run
from auditor.plan.subject import Subject
from auditor.plan.task import Task

RECENT = 8
"""Timings of an op that are looked at, the latest ones."""


@dataclass(frozen=True)
class Timing:
    """What one computation of `op` took on a kind of device, for how many rows of data if that was known."""

    op: str
    device: str
    rows: int | None
    seconds: float


@dataclass(frozen=True)
class TaskCost:
    """`seconds` is None where no run of the op on this kind of device is on record. `cached`: it will not run."""

    digest: str
    cached: bool
    seconds: float | None


@dataclass(frozen=True)
class Estimate:
    """Of one audit. `seconds` sums what is known, over `timed` of the `computed` tasks that will run.

    `memory` is the bytes of model, inputs and logits held at once: a lower bound of the peak, which the working memory
    of ops comes on top of. None where nothing will be loaded.
    """

    tasks: tuple[TaskCost, ...]
    seconds: float | None
    timed: int
    computed: int
    memory: int | None


def estimate(
    plan: Plan, subject: Subject, *, cached: Callable[[str], bool], timings: Iterable[Timing] = ()
) -> Estimate:
    """Which tasks will run, given which results exist, how long they will take and what they will hold."""
    runs = to_run(plan, cached)
    known = _by_op(timings, kind_of(plan.environment.device))
    costs = tuple(
        TaskCost(digest, digest not in runs, _seconds(task, known.get(task.op.name, ())) if digest in runs else 0.0)
        for digest, task in plan.tasks.items()
    )
    running = [cost for cost in costs if not cost.cached]
    timed = [cost.seconds for cost in running if cost.seconds is not None]
    return Estimate(
        tasks=costs,
        seconds=sum(timed) if timed or not running else None,
        timed=len(timed),
        computed=len(running),
        memory=_memory(plan, subject, runs),
    )


def shares(plan: Plan, todo: Iterable[str], timings: Iterable[Timing]) -> dict[str, float]:
    """What part of the run each task makes, in sum 1; a task without a timing counts as the median of its kind."""
    known = _by_op(timings, kind_of(plan.environment.device))
    guesses = {digest: _seconds(plan.tasks[digest], known.get(plan.tasks[digest].op.name, ())) for digest in todo}
    typical = median([guess for guess in guesses.values() if guess is not None] or [1.0])
    weights = {digest: max(typical if guess is None else guess, 1e-3) for digest, guess in guesses.items()}
    total = math.fsum(weights.values())
    return {digest: weight / total for digest, weight in weights.items()}


def _by_op(timings: Iterable[Timing], device: str) -> Mapping[str, list[Timing]]:
    known: dict[str, list[Timing]] = {}
    for timing in timings:
        if timing.device == device:
            known.setdefault(timing.op, []).append(timing)
    return {name: found[-RECENT:] for name, found in known.items()}


def _seconds(task: Task, known: Iterable[Timing]) -> float | None:
    """The median of earlier runs, in proportion to the rows where both counts are known."""
    known = list(known)
    if not known:
        return None
    rates = [timing.seconds / timing.rows for timing in known if timing.rows]
    if task.rows and rates:
        return median(rates) * task.rows
    return median(timing.seconds for timing in known)


def _memory(plan: Plan, subject: Subject, runs: set[str]) -> int | None:
    """The largest sum of unstored values that one task needs at once, each counted at its size."""
    sizes = {digest: _nbytes(plan.tasks[digest], subject) for digest in runs if not plan.tasks[digest].op.stored}
    held = [
        sum(sizes.get(source, 0) for source in plan.tasks[digest].inputs)
        for digest in runs
        if plan.tasks[digest].op.stored
    ]
    return max((size for size in held if size), default=None)


def _nbytes(task: Task, subject: Subject) -> int:
    if task.rows is not None:
        return 4 * task.rows * math.prod(subject.input_shape)
    return subject.model.nbytes or 0
