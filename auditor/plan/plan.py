"""A compiled spec: every task, and what each check waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from auditor.plan.machine import Environment
from auditor.plan.task import Task
from auditor.records import Judgement
from auditor.spec.builder import Ref

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class Undecided:
    """A check whose rows cannot give a pass, whatever they hold: `rows` there are, `needed` it would take at least."""

    check: str
    rows: int
    needed: int

    def __str__(self) -> str:
        return f"{self.check}: {self.rows} rows cannot decide it; a pass takes at least {self.needed}"


@dataclass(frozen=True)
class Missing:
    """A check that asks for what this version cannot do yet."""

    check: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.check}: not available yet: {', '.join(self.reasons)}"


@dataclass(frozen=True)
class Plan:
    """`tasks` by digest, inputs before what needs them; `judgements` by check, in the order of the spec.

    `undecidable` and `unavailable` are the checks that were not planned, with why. `left_out` names those not selected.
    """

    tasks: Mapping[str, Task]
    judgements: Mapping[str, Ref[Judgement]]
    environment: Environment
    undecidable: tuple[Undecided, ...] = ()
    unavailable: tuple[Missing, ...] = ()
    left_out: tuple[str, ...] = ()
    selection: str | None = field(default=None)

    @cached_property
    def graph(self) -> nx.DiGraph:
        """A node per digest with its `task`; an edge from each input to what needs it."""
        import networkx as nx

        graph = nx.DiGraph()
        for digest, task in self.tasks.items():
            graph.add_node(digest, task=task)
        graph.add_edges_from((source, digest) for digest, task in self.tasks.items() for source in task.inputs)
        return graph

    @cached_property
    def checks_of(self) -> dict[str, tuple[str, ...]]:
        """Per task the checks that need it, in the order of the spec."""
        needed: dict[str, list[str]] = {digest: [] for digest in self.tasks}
        for check, ref in self.judgements.items():
            for digest in lineage(self.tasks, [ref.digest]):
                needed[digest].append(check)
        return {digest: tuple(checks) for digest, checks in needed.items()}


def lineage(tasks: Mapping[str, Task], targets: Iterable[str]) -> set[str]:
    """`targets` and all that they depend on."""
    seen: set[str] = set()
    waiting = list(targets)
    while waiting:
        digest = waiting.pop()
        if digest not in seen:
            seen.add(digest)
            waiting.extend(tasks[digest].inputs)
    return seen


def to_run(plan: Plan, cached: Callable[[str], bool]) -> set[str]:
    """Tasks to compute so that every judgement exists: backwards from the judgements, stopping at what exists."""
    needed: set[str] = set()
    waiting = [ref.digest for ref in plan.judgements.values()]
    while waiting:
        digest = waiting.pop()
        if digest in needed or (plan.tasks[digest].op.stored and cached(digest)):
            continue
        needed.add(digest)
        waiting.extend(plan.tasks[digest].inputs)
    return needed
