"""What is left to do in a run: which tasks are ready, which never will be, which values nobody will ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from auditor.plan.plan import Plan, to_run
from auditor.plan.task import Task


class Agenda:
    """The tasks a run must compute, in the order of the plan, given which results exist already.

    Only stored tasks are on it: the others are made where and when one of them is needed.
    """

    def __init__(self, plan: Plan, *, exists: Callable[[str], bool]) -> None:
        self.tasks = plan.tasks
        self.needed = to_run(plan, exists)
        self.todo = tuple(digest for digest in self.tasks if digest in self.needed and self.tasks[digest].op.stored)
        self._open = dict.fromkeys(self.todo)
        self._running: set[str] = set()
        self._touched = {digest: self._touches(self.tasks[digest]) for digest in self.todo}
        self._uses: dict[str, int] = {}
        for touched in self._touched.values():
            for digest in touched:
                self._uses[digest] = self._uses.get(digest, 0) + 1
        for ref in plan.judgements.values():
            self._uses[ref.digest] = self._uses.get(ref.digest, 0) + 1

    def ready(self) -> Iterator[str]:
        """Tasks that wait for nothing, in order."""
        for digest in self._open:
            if digest not in self._running and not self._waits(digest):
                yield digest

    def start(self, digest: str) -> None:
        self._running.add(digest)

    def put_back(self, digest: str) -> None:
        """It did not finish and may be started again."""
        self._running.discard(digest)

    def close(self, digest: str) -> list[str]:
        """The task is over, however it ended. Returns the values that can be forgotten now."""
        self._open.pop(digest, None)
        self._running.discard(digest)
        over = []
        for used in self._touched.get(digest, ()):
            self._uses[used] -= 1
            if self._uses[used] == 0:
                over.append(used)
        return over if self._uses.get(digest) else [*over, digest]

    def block(self, digest: str) -> list[str]:
        """The task has failed: returns its descendants that are still to do, in order. They must be closed."""
        blocked = {digest}
        below = []
        for other, task in self.tasks.items():
            if other not in blocked and not blocked.isdisjoint(task.inputs):
                blocked.add(other)
                if other in self._open:
                    below.append(other)
        return below

    def __bool__(self) -> bool:
        return bool(self._open)

    def _waits(self, digest: str) -> bool:
        return any(used in self._open for used in self._touched[digest])

    def _touches(self, task: Task) -> tuple[str, ...]:
        """Its inputs, and through those that are not stored, what these are made of."""
        touched: dict[str, None] = {}
        waiting = list(task.inputs)
        while waiting:
            digest = waiting.pop()
            if digest not in touched:
                touched[digest] = None
                if not self.tasks[digest].op.stored:
                    waiting.extend(self.tasks[digest].inputs)
        return tuple(touched)
