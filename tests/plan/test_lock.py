"""An op's numbers and its version change together: the lock that CI holds against the source."""

from __future__ import annotations

import importlib
import json

import pytest

from tests.plan import lock

SOURCE = '''
from auditor.methods import {methods}
from auditor.plan.op import op

FACTOR = {factor}

def helper(x):
    """{wording}"""
    return x * FACTOR

def unrelated():
    return {unrelated}

@op(version=1)
def compute(*, x):
    """{wording}"""
    # {wording}
    from auditor.statistics import {statistic}
    return {layout}helper(x)
'''
PLAIN = {
    "methods": "robustness",
    "factor": "2",
    "wording": "One.",
    "unrelated": "1",
    "statistic": "clopper_pearson",
    "layout": "",
}


@pytest.mark.slow
def test_no_op_changed_without_its_version():
    found = lock.problems(json.loads(lock.LOCK.read_text("utf-8")), lock.current())
    assert not found, "\n" + "\n".join(found)


@pytest.fixture
def hashed(tmp_path, monkeypatch):
    """The hash of `compute` in a module written from SOURCE."""
    monkeypatch.syspath_prepend(tmp_path)
    for cached in (lock._definitions, lock._tree, lock._exists):
        cached.cache_clear()
    number = 0

    def write(**changes) -> str:
        nonlocal number
        number += 1
        name = f"locked_{number}"
        (tmp_path / f"{name}.py").write_text(SOURCE.format(**{**PLAIN, **changes}))
        importlib.invalidate_caches()
        return lock.source_hash(f"{name}:compute")

    # the module's own name is part of the hash; make it the same for all
    original = json.dumps
    monkeypatch.setattr(
        lock.json, "dumps", lambda value, **more: original(value, **more).replace(f"locked_{number}", "m")
    )
    return write


@pytest.mark.parametrize("change", [{"wording": "Two."}, {"layout": "(\n    0) or "}, {"unrelated": "2"}])
def test_wording_and_unrelated_code_are_free(hashed, change):
    if "layout" in change:
        assert hashed(layout="(0) or ") == hashed(**change)
    else:
        assert hashed() == hashed(**change)


@pytest.mark.parametrize("change", [{"factor": "3"}, {"layout": "1 + "}, {"statistic": "Interval"}])
def test_what_the_op_uses_is_held(hashed, change):
    assert hashed() != hashed(**change)


def test_problems_name_the_op_and_the_remedy():
    held = {
        "a:x": {"version": 1, "source": "1"},
        "a:y": {"version": 1, "source": "1"},
        "a:z": {"version": 1, "source": "1"},
    }
    now = {
        "a:x": {"version": 1, "source": "2"},
        "a:y": {"version": 2, "source": "2"},
        "a:new": {"version": 1, "source": "1"},
    }
    assert lock.problems(held, held) == []
    found = dict(zip(["new", "x", "y", "z"], lock.problems(held, now), strict=True))
    assert "raise it if any number may differ" in found["x"]
    assert all("refresh the lock" in found[name] for name in ("new", "y", "z"))


def test_refreshing_refuses_a_silent_change(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lock, "LOCK", tmp_path / "lock.json")
    now = {"a:x": {"version": 1, "source": "1"}}
    monkeypatch.setattr(lock, "current", lambda: {name: dict(entry) for name, entry in now.items()})
    assert lock.main([]) == 0
    now["a:x"]["source"] = "2"
    now["a:new"] = {"version": 1, "source": "1"}
    assert lock.main([]) == 1
    assert "a:x changed without its version" in capsys.readouterr().err
    held = json.loads(lock.LOCK.read_text())
    assert (held["a:x"]["source"], "a:new" in held) == ("1", True)
    assert lock.main(["--same-numbers", "a:x"]) == 0
    assert json.loads(lock.LOCK.read_text())["a:x"]["source"] == "2"
    assert lock.main(["--same-numbers", "a:typo"]) == 2
