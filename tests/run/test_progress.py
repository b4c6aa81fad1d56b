"""Progress a person can read, in a terminal of 80 columns and in the log of a CI job."""

from __future__ import annotations

import io
import json
import re

import pytest

from auditor.run import Store, execute
from auditor.run.eventlog import EventLog
from auditor.run.events import Noted, RunFinished, RunStarted, TaskFinished, TaskHalved, TaskProgress, TaskStarted
from auditor.run.terminal import Bar, Clock, Lines, described, duration, shortened, terminal_listener
from tests.run import ops
from tests.run.plans import Sketch, sums


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Ticking:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


LONG = TaskStarted("1", "m:attack_rows", "attack rows", ("robust/attacked-at-a-very-small-radius", "b", "c"), "cpu")


def test_the_bar_fits_80_columns_and_keeps_failures(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    bar = Bar(stream)
    for event in [
        RunStarted(2, 3, {"1": 0.9, "2": 0.1}),
        LONG,
        TaskProgress("1", 5, 10),
        TaskHalved("1", 32),
        Noted("attack rows: out of memory, batch halved from 64 to 32"),
        TaskFinished("1", "attack rows", "failed", 3.0, "ValueError: [bold]two"),
        RunFinished(3.0, 1, 1, 0),
    ]:
        bar(event)
        bar._progress.refresh()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    lines = re.split(r"[\r\n]+", text)
    assert max(map(len, lines)) <= 80
    assert "failed: attack rows: ValueError: [bold]two" in lines
    assert any("attack rows (robust/attacked" in line and "batch 32" in line for line in lines)
    assert lines[-2] == "1 task run in 3.0 s, 1 failed"


def test_a_log_gets_a_line_per_task_and_rarely_one_between():
    now = Ticking()
    stream = io.StringIO()
    lines = Lines(stream, now)
    lines(RunStarted(2, 3, {"1": 0.75, "2": 0.25}))
    lines(LONG)
    for second in range(1, 31):
        now.time = float(second)
        lines(TaskProgress("1", second, 30))
    lines(TaskFinished("1", "attack rows", "ok", 30.0))
    lines(TaskFinished("2", "judge", "skipped", error="needs 'x', which failed"))
    lines(RunFinished(30.0, 1, 0, 1))
    name = "attack rows (robust/attacked-at-a-very-small-radius + 2)"
    assert stream.getvalue().splitlines() == [
        "2 tasks to run, 3 in the store",
        f"[ 25%] {name}: 10 of 30, 30 s left",
        f"[ 50%] {name}: 20 of 30, 20 s left",
        f"[ 75%] {name}: 30 of 30, 10 s left",
        f"[ 75%] {name} in 30 s",
        "[100%] judge skipped: needs 'x', which failed",
        "1 task run in 30 s, 1 skipped",
    ]


def test_time_left_is_unknown_until_something_is_done():
    now = Ticking()
    clock = Clock(now)
    clock(RunStarted(1, 0, {"1": 1.0}))
    assert clock.left is None
    now.time = 4.0
    clock(TaskProgress("1", 1, 4))
    assert (clock.done, clock.left) == (0.25, 12.0)
    clock(TaskFinished("elsewhere", "x", "ok"))
    assert clock.done == 0.25


def test_the_listener_suits_the_stream():
    assert isinstance(terminal_listener(io.StringIO()), Lines)
    assert isinstance(terminal_listener(Terminal()), Bar)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.99, "10.0 s"), (59.4, "59 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_labels():
    assert shortened("abcdef", 4) == "abc…"
    assert described(TaskStarted("1", "m:f", "f", (), "cpu")) == "f"
    assert described(TaskStarted("1", "m:f", "f", ("a",), "cpu")) == "f (a)"


def test_the_event_log_is_one_json_object_a_line_with_tracebacks(tmp_path):
    sketch = Sketch()
    good = sums({"good": 0.0})
    sketch.tasks.update(good.tasks)
    sketch.judgements |= good.judgements
    sketch.judgements["bad"] = sketch.add(ops.broken, x=1, kind="value")
    stream = io.StringIO()
    execute(sketch.plan(), store=Store(tmp_path), listeners=[EventLog(stream)])
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert events[0]["event"] == "RunStarted"
    assert events[-1]["event"] == "RunFinished"
    assert events[-1]["failed"] == 1
    (failed,) = [event for event in events if event.get("status") == "failed"]
    assert "ValueError: two" in failed["traceback"]
    times = [event["time"] for event in events]
    assert times == sorted(times)
