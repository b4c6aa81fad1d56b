"""Local workers give what one process gives, survive the death of one, and report what happened."""

from __future__ import annotations

import multiprocessing

import pytest

from auditor.run import Failure, Store, execute
from auditor.run.events import TaskFinished, TaskProgress, TaskStarted
from tests.run import ops
from tests.run.audit_process import everything
from tests.run.plans import Sketch, sums


def test_two_workers_agree_with_one_process_byte_for_byte(tmp_path, calls):
    plan = sums({"a": -9.0, "bb": 9.0, "c": 0.0}, pause=0.05)
    alone = execute(plan, store=Store(tmp_path / "alone"))
    once = calls()
    events = []
    shared = execute(plan, store=Store(tmp_path / "shared"), jobs=2, listeners=[events.append])
    assert {name: everything(value) for name, value in shared.judgements.items()} == {
        name: everything(value) for name, value in alone.judgements.items()
    }
    for digest in plan.tasks:
        files = sorted((tmp_path / "alone").glob(f"1/??/{digest}/*"))
        for file in files:
            if file.name != "entry.json":
                assert (tmp_path / "shared" / file.relative_to(tmp_path / "alone")).read_bytes() == file.read_bytes()
    twice = calls()
    assert {name: count for name, count in twice.items() if name != "numbers"} == {
        name: count for name, count in once.items() if name != "numbers"
    }, "stored work is done once, on whichever worker"
    assert twice["numbers"] <= 4, "unstored inputs are made at most once per worker"
    assert [record.status for record in shared.records] == ["ok"] * len(plan.tasks)
    kinds = {type(event) for event in events}
    assert {TaskStarted, TaskProgress, TaskFinished} <= kinds
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(("deaths", "survives"), [(1, True), (2, False)])
def test_the_task_of_a_killed_worker_is_tried_once_more(tmp_path, deaths, survives):
    sketch = Sketch()
    dead = sketch.add(ops.die, x=1, marker=str(tmp_path / "deaths"), deaths=deaths)
    sketch.judgements["a"] = sketch.add(ops.after, x=dead)
    sketch.judgements["other"] = sketch.add(ops.after, x=2)
    outcome = execute(sketch.plan(), store=Store(tmp_path / "store"), jobs=2)
    assert outcome.results["other"] == 1
    assert any("killed by SIGKILL" in note for note in outcome.notes)
    if survives:
        assert outcome.results["a"] == 1
    else:
        failure = outcome.results["a"]
        assert isinstance(failure, Failure)
        assert "its worker was killed by SIGKILL, 2 times" in failure.text
        assert [record.status for record in outcome.records] == ["failed", "skipped", "ok"]
    assert multiprocessing.active_children() == []
