"""Plans of small ops: a sum over scaled numbers, judged against a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.plan.machine import Environment
from auditor.plan.op import Op
from auditor.plan.plan import Plan
from auditor.plan.task import Task, make_task
from auditor.spec.builder import Ref
from tests.run import ops


class Sketch:
    """A plan under construction, without checks or a subject."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.judgements: dict[str, Ref[Any]] = {}
        self.environment = Environment(torch="test", device="cpu")

    def add(self, op: Op[..., Any], **parameters: Any) -> Ref[Any]:
        task = make_task(op, parameters, self.environment)
        self.tasks.setdefault(task.digest, task)
        return Ref(task.digest)

    def plan(self) -> Plan:
        return Plan(self.tasks, self.judgements, self.environment)


def sums(
    thresholds: Mapping[str, float], *, count: int = 40, scales: tuple[float, ...] = (1.0, 2.0, 3.0), pause: float = 0.0
) -> Plan:
    """One check per threshold on the same sum; a check `x` starts from seed len(x)."""
    sketch = Sketch()
    for name, at_least in thresholds.items():
        x = sketch.add(ops.numbers, count=count, seed=len(name))
        parts = [sketch.add(ops.scale, x=x, by=by, pause=pause) for by in scales]
        table = sketch.add(ops.combine, parts=parts, pause=pause)
        sketch.judgements[name] = sketch.add(ops.judge, table=table, at_least=at_least, check=name)
    return sketch.plan()
