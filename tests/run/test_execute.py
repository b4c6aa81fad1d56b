"""What the scheduler promises: nothing twice, nothing lost, failures stay where they are."""

from __future__ import annotations

import pickle
import time

import numpy as np
import pytest

from auditor.digest import canonical_json
from auditor.errors import CertificateBroken, Interrupted, Unsupported
from auditor.records import Judgement
from auditor.run import Failure, Store, execute
from auditor.run.codec import encode
from auditor.run.events import RunFinished, RunStarted, TaskFinished, TaskProgress, TaskStarted
from tests.run import ops
from tests.run.plans import Sketch, sums


def same(one, two) -> bool:
    """Byte for byte, tables and images included."""
    first, second = encode(one), encode(two)
    return (
        canonical_json(first.skeleton) == canonical_json(second.skeleton)
        and all(first.tables[key].equals(second.tables[key]) for key in first.tables | second.tables)
        and all(first.arrays[key].tobytes() == second.arrays[key].tobytes() for key in first.arrays | second.arrays)
    )


def test_unchanged_rerun_calls_nothing(tmp_path, calls):
    store = Store(tmp_path / "store")
    first = execute(sums({"a": -9.0}), store=store)
    assert calls() == {"numbers": 1, "scale 1.0": 1, "scale 2.0": 1, "scale 3.0": 1, "combine": 1, "judge -9.0": 1}
    second = execute(sums({"a": -9.0}), store=store)
    assert calls() == {}
    assert same(first.judgements["a"], second.judgements["a"])
    assert all(record.cached and record.seconds == 0 for record in second.records)
    assert not any(record.cached for record in first.records)


def test_a_threshold_edit_calls_only_judge(tmp_path, calls):
    store = Store(tmp_path / "store")
    execute(sums({"a": -9.0}), store=store)
    calls()
    edited = execute(sums({"a": 9.0}), store=store)
    assert calls() == {"judge 9.0": 1}
    assert edited.judgements["a"].finding.status == "fail"
    assert [record.op.rpartition(":")[2] for record in edited.records if not record.cached] == ["judge"]


def test_equal_work_is_done_once_for_two_checks(tmp_path, calls):
    outcome = execute(sums({"a": -9.0, "b": 9.0}), store=Store(tmp_path))
    assert calls() == {
        "numbers": 1,
        "scale 1.0": 1,
        "scale 2.0": 1,
        "scale 3.0": 1,
        "combine": 1,
        "judge -9.0": 1,
        "judge 9.0": 1,
    }
    shared = next(record for record in outcome.records if record.op.endswith(":combine"))
    assert shared.checks == ("a", "b")


def test_fresh_computes_everything_and_replaces(tmp_path, calls):
    store = Store(tmp_path / "store")
    execute(sums({"a": 0.0}), store=store)
    before = calls()
    outcome = execute(sums({"a": 0.0}), store=store, fresh=True)
    assert calls() == before
    assert not any(record.cached for record in outcome.records)
    execute(sums({"a": 0.0}), store=store)
    assert calls() == {}


def test_a_failure_skips_its_descendants_only(tmp_path, calls):
    sketch = Sketch()
    x = sketch.add(ops.numbers, count=4, seed=1)
    bad = sketch.add(ops.broken, x=x, kind="value")
    sketch.judgements["bad"] = sketch.add(ops.after, x=sketch.add(ops.after, x=bad))
    good = sums({"good": -9.0})
    sketch.tasks.update(good.tasks)
    sketch.judgements |= good.judgements
    events = []
    outcome = execute(sketch.plan(), store=Store(tmp_path / "store"), listeners=[events.append])
    assert calls()["after"] == 0
    assert outcome.judgements["good"].finding.status == "pass"
    failure = outcome.results["bad"]
    assert isinstance(failure, Failure)
    assert (failure.status, failure.label) == ("skipped", "after")
    assert "broken" in failure.text
    assert "ValueError: two" in failure.text
    assert isinstance(failure.error, ValueError)
    assert [(record.op.rpartition(":")[2], record.status) for record in outcome.records[:4]] == [
        ("numbers", "ok"),
        ("broken", "failed"),
        ("after", "skipped"),
        ("after", "skipped"),
    ]
    assert outcome.records[1].error == "ValueError: two"
    finished = next(event for event in events if isinstance(event, TaskFinished) and event.status == "failed")
    assert "tests/run/ops.py" in (finished.traceback or "")
    assert events[-1] == RunFinished(outcome.seconds, events[-1].computed, failed=1, skipped=2)


def test_a_failing_unstored_op_fails_once_for_all_that_need_it(tmp_path):
    sketch = Sketch()
    x = sketch.add(ops.numbers, count=-1, seed=1)
    for name in ("a", "b"):
        sketch.judgements[name] = sketch.add(ops.scale, x=x, by=float(len(sketch.judgements)))
    events = []
    outcome = execute(sketch.plan(), store=Store(tmp_path), listeners=[events.append])
    assert [record.status for record in outcome.records] == ["failed", "skipped", "skipped"]
    assert sum(isinstance(event, TaskStarted) for event in events) == 1


def test_a_failure_is_tried_again_by_the_next_run(tmp_path, calls):
    sketch = Sketch()
    sketch.judgements["bad"] = sketch.add(ops.broken, x=1, kind="value")
    for _ in range(2):
        execute(sketch.plan(), store=Store(tmp_path / "store"))
    assert calls() == {"broken value": 2}


def test_what_cannot_be_stored_is_a_failure_that_names_the_place(tmp_path):
    sketch = Sketch()
    sketch.judgements["bad"] = sketch.add(ops.unstorable, x=1)
    failure = execute(sketch.plan(), store=Store(tmp_path)).results["bad"]
    assert "value: a object cannot be stored" in failure.text


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_broken_certificate_stops_the_audit(tmp_path, jobs):
    sketch = Sketch()
    sketch.judgements["bad"] = sketch.add(ops.broken, x=1, kind="certificate")
    sketch.judgements["next"] = sketch.add(ops.after, x=1)
    with pytest.raises(CertificateBroken, match="row 3"):
        execute(sketch.plan(), store=Store(tmp_path), jobs=jobs)


@pytest.mark.parametrize("jobs", [1, 2])
def test_unsupported_keeps_its_node(tmp_path, jobs):
    sketch = Sketch()
    sketch.judgements["bad"] = sketch.add(ops.broken, x=1, kind="unsupported")
    failure = execute(sketch.plan(), store=Store(tmp_path), jobs=jobs).results["bad"]
    assert isinstance(failure.error, Unsupported)
    assert (failure.error.node, failure.error.remedy) == ("blocks.3", "remove it")


def test_interrupted_keeps_what_had_finished(tmp_path, calls):
    good = sums({"good": -9.0})
    sketch = Sketch()
    sketch.tasks.update(good.tasks)
    sketch.judgements |= good.judgements
    sketch.judgements["stop"] = sketch.add(ops.interrupt, x=1)
    store = Store(tmp_path / "store")
    with pytest.raises(Interrupted, match="5 of 6 tasks had finished") as caught:
        execute(sketch.plan(), store=store)
    assert caught.value.exit_code == 130
    calls()
    execute(good, store=store)
    assert calls() == {}


def test_no_task_starts_after_the_time_budget(tmp_path, calls):
    outcome = execute(sums({"a": 0.0}, pause=0.3), store=Store(tmp_path / "store"), time_budget=0.2)
    assert calls() == {"numbers": 1, "scale 1.0": 1}
    failure = outcome.results["a"]
    assert isinstance(failure, Failure)
    assert failure.status == "skipped"
    assert "time budget of 0.2 s" in failure.text


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_time_budget_ends_a_task_on_its_way(tmp_path, calls, jobs):
    sketch = Sketch()
    for name in ("a", "b"):
        sketch.judgements[name] = sketch.add(ops.slow, steps=600 + ord(name))
    started = time.monotonic()
    outcome = execute(sketch.plan(), store=Store(tmp_path / "store"), time_budget=0.5, jobs=jobs)
    assert time.monotonic() - started < 30
    assert calls() == {}
    for failure in outcome.results.values():
        assert isinstance(failure, Failure)
        assert (failure.status, failure.error) == ("skipped", None)
        assert "time budget of 0.5 s" in failure.text


@pytest.mark.parametrize(("how", "fits", "tries"), [("cpu", 16, 3), ("cuda", 8, 4), ("python", 32, 2)])
def test_out_of_memory_halves_the_batch_up_to_three_times(tmp_path, calls, how, fits, tries):
    sketch = Sketch()
    x = sketch.add(ops.numbers, count=4, seed=1)
    ref = sketch.judgements["a"] = sketch.add(ops.hungry, x=x, fits=fits, batch_size=64, how=how)
    store = Store(tmp_path / "store")
    outcome = execute(sketch.plan(), store=store)
    assert outcome.results["a"] == {"batch": fits}
    assert sum(calls().values()) == tries + 1
    assert outcome.records[-1].halvings == tries - 1
    assert any("batch halved from 64 to 32" in note for note in outcome.notes)
    again = execute(sketch.plan(), store=store)
    assert again.records[-1].halvings == tries - 1, "a result that came from a halved batch stays marked as such"
    assert any("earlier run" in note for note in again.notes)
    assert store.entry(ref.digest).halvings == tries - 1


def test_out_of_memory_a_fourth_time_is_an_error(tmp_path, calls):
    sketch = Sketch()
    sketch.judgements["a"] = sketch.add(ops.hungry, x=1, fits=1, batch_size=64, how="cpu")
    outcome = execute(sketch.plan(), store=Store(tmp_path / "store"))
    assert calls() == {"hungry 64": 1, "hungry 32": 1, "hungry 16": 1, "hungry 8": 1}
    assert "not enough memory" in outcome.results["a"].text


def test_stray_draws_do_not_depend_on_what_ran_before(tmp_path):
    def draw(first: bool):
        sketch = Sketch()
        if first:
            sketch.judgements["other"] = sketch.add(ops.draw_global, count=3, seed=1)
        sketch.judgements["a"] = sketch.add(ops.draw_global, count=5, seed=2)
        return execute(sketch.plan(), store=Store(tmp_path / str(first))).results["a"]

    assert draw(True).equal(draw(False))


def test_values_are_forgotten_when_nothing_needs_them(tmp_path):
    from auditor.run.evaluator import Evaluator
    from auditor.run.execute import Run, in_this_process

    plan = sums({"a": 0.0, "bb": 0.0})
    run = Run(plan, Store(tmp_path), listeners=(), fresh=False, time_budget=None)
    held = []
    evaluator = Evaluator(plan.tasks, run.store, emit=lambda event: held.append(len(evaluator._memory)))
    in_this_process(run, evaluator)
    assert set(evaluator._memory) == {ref.digest for ref in plan.judgements.values()}
    assert max(held) <= 6, "one check's values, and the judgement of the other"


def test_events_tell_the_whole_story(tmp_path):
    events = []
    execute(sums({"a": 0.0}), store=Store(tmp_path), listeners=[events.append])
    assert isinstance(events[0], RunStarted)
    assert events[0].tasks == 5
    assert sum(events[0].work.values()) == pytest.approx(1.0)
    assert sum(isinstance(event, TaskStarted) for event in events) == 6
    assert sum(isinstance(event, TaskFinished) for event in events) == 6
    assert sum(isinstance(event, TaskProgress) for event in events) == 3
    pickle.dumps(events)


def test_a_damaged_entry_is_computed_again_and_noted(tmp_path, calls):
    store = Store(tmp_path / "store")
    first = execute(sums({"a": 0.0}), store=store)
    calls()
    for file in (tmp_path / "store").rglob("*/*/p0.parquet"):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    again = execute(sums({"a": 0.0}), store=store)
    assert calls() == {"combine": 1, "judge 0.0": 1}
    assert same(first.judgements["a"], again.judgements["a"])
    assert any("damaged; computed again" in note for note in again.notes)


def test_judgements_keep_infinities_and_nan(tmp_path):
    judgement = execute(sums({"a": 0.0}), store=Store(tmp_path)).results["a"]
    assert isinstance(judgement, Judgement)
    assert judgement.finding.interval[0] == float("-inf")
    assert np.isnan(judgement.finding.metrics["sd"])


def test_a_failure_does_not_keep_the_tasks_values_alive(tmp_path):
    import gc

    sketch = Sketch()
    x = sketch.add(ops.numbers, count=4, seed=1)
    sketch.judgements["a"] = sketch.add(ops.broken, x=x, kind="value")
    ops.GIVEN.clear()
    outcome = execute(sketch.plan(), store=Store(tmp_path))
    gc.collect()
    failure = outcome.results["a"]
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, ValueError)
    assert [reference() for reference in ops.GIVEN] == [None]
