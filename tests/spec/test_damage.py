"""Whatever is done to a spec, it loads or every complaint has a place: the loader itself never fails."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.checks.registry import discover
from auditor.errors import SpecErrors
from auditor.spec import load
from auditor.spec.codes import CODES
from auditor.spec.yaml import read

GOOD = Path(__file__).parent / "good"
WHOLE = [path for path in sorted(GOOD.glob("*.yaml")) if path.stem not in ("composed", "class-sets")]
TYPES = discover()
SCALARS = st.sampled_from(
    [None, True, False, 0, 1, -1, 3, 1e-9, -2.5, 10**30, "", "x", "cat", "test", "robust", "${x}", "a:b", ":3", "point"]
)
VALUES = (
    SCALARS
    | st.lists(SCALARS, max_size=3)
    | st.dictionaries(
        st.sampled_from(["x", "class", "top_k", "metric", "from", "name", "extends"]), SCALARS, max_size=2
    )
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in inner for place in places(child, (*path, key)))][not path :]


def damaged(spec: Any, data: st.DataObject) -> Any:
    """One place replaced, removed, renamed or moved elsewhere."""
    spec = copy.deepcopy(spec)
    *way, last = data.draw(st.sampled_from(places(spec)), label="place")
    parent = spec
    for part in way:
        parent = parent[part]
    kind = data.draw(st.sampled_from(["replace", "remove", "rename", "copy"]), label="kind")
    if kind == "remove":
        del parent[last]
    elif kind == "rename" and isinstance(parent, dict):
        parent[data.draw(st.sampled_from(["x", "type", "over", "require", "path", "extends"]))] = parent.pop(last)
    elif kind == "copy":
        value = spec
        for part in data.draw(st.sampled_from(places(spec)), label="source"):
            value = value[part]
        parent[last] = copy.deepcopy(value)
    else:
        parent[last] = data.draw(VALUES, label="value")
    return spec


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damage_is_reported(path: Path, tmp_path: Path, data: st.DataObject) -> None:
    spec = damaged(read(path, path.name)[0].plain(), data)
    if data.draw(st.booleans(), label="twice"):
        spec = damaged(spec, data) if places(spec) else spec
    text = json.dumps(spec, indent=1)
    file = tmp_path / "damaged.yaml"
    file.write_text(text)
    try:
        load(file, TYPES)
    except SpecErrors as error:
        problems = error.problems
    else:
        return
    lines = text.split("\n")
    for item in problems:
        assert item.code in CODES
        assert item.file == file.as_posix()
        assert 1 <= item.line <= len(lines)
        assert 1 <= item.column <= len(lines[item.line - 1])
        assert "pydantic" not in str(item)


SIGNS = [*"\n :-{}[],#'\"&*!|>%@?~$0", "- ", ": ", "\t", "\r", "\0", "\x85", "\ufeff", "ü", "\U0001f600", b"\xff"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    raw = (GOOD / "every-section.yaml").read_bytes()
    for _ in range(data.draw(st.integers(1, 3), label="times")):
        start = data.draw(st.integers(0, len(raw)), label="start")
        length = data.draw(st.sampled_from([0, 0, 1, 1, 5, 200]), label="length")
        put = data.draw(st.sampled_from(["", *SIGNS]), label="put")
        raw = raw[:start] + (put if isinstance(put, bytes) else put.encode()) + raw[start + length :]
    file = tmp_path / "damaged.yaml"
    file.write_bytes(raw)
    try:
        load(file, TYPES)
    except SpecErrors as error:
        lines = len(raw.split(b"\n"))
        for item in error.problems:
            assert item.code in CODES
            assert 1 <= item.line <= lines + 1
            assert item.column >= 1
