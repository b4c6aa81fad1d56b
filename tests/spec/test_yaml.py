"""YAML 1.2 as specs use it: scalars of the core schema, JSON as a subset, and a place for everything."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.errors import SpecErrors
from auditor.spec.tree import Node
from auditor.spec.yaml import DEEPEST, parse, scalar

ROOT = Path(__file__).parents[2]
GOOD = [*sorted((ROOT / "tests/spec/good").glob("*.yaml")), *sorted((ROOT / "specs").glob("*.yaml"))]


def read(text: str) -> Any:
    return parse(f"value: {text}\n", "spec.yaml").plain()["value"]


@pytest.mark.parametrize(
    "word",
    [
        "on", "off", "yes", "no", "Yes", "NO", "y", "n", "12:30", "1:30:45.5", "2026-11-20", "2026-11-20T10:00:00Z",
        "1_000", "0b101", "0o8", "0x", "0xg", "-0o17", "+0x1F", "e5", ".", "-", "+", "..5", "1.5.2", "1e", "1e5.0",
        "inf", "nan", "-.nan", ".InF", "tRue", "nULL", "<<", "=", "1,000", "127.0.0.1",
    ],
)  # fmt: skip
def test_text_that_other_versions_read_as_something_else(word: str) -> None:
    assert scalar(word) == word
    assert type(scalar(word)) is str


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5), ("1E+5", 1e5), ("1.", 1.0), (".5", 0.5), ("-.5e1", -5.0), ("+1", 1), ("007", 7), ("0o17", 15),
        ("0x1F", 31), ("-0", 0), ("-0.0", -0.0), (".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf),
        ("true", True), ("True", True), ("FALSE", False), ("null", None), ("~", None), ("", None), ("NULL", None),
    ],
)  # fmt: skip
def test_scalars_of_the_core_schema(text: str, value: Any) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)
    assert read(text) == value


def test_not_a_number() -> None:
    assert all(math.isnan(scalar(text)) for text in (".nan", ".NaN", ".NAN"))


@given(st.integers(-(10**60), 10**60))
def test_integers(number: int) -> None:
    assert read(str(number)) == number
    if number >= 0:
        assert read(f"0x{number:x}") == read(f"0o{number:o}") == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_as_python_writes_them(number: float) -> None:
    found = read(repr(number))
    assert type(found) is float
    assert math.copysign(1, found) == math.copysign(1, number)
    assert found == number


PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0xD7FF, exclude_characters="\x7f\x85\u2028\u2029").filter(
    lambda character: not 0x7F <= ord(character) <= 0x9F
)
TEXT = st.text(PRINTABLE, max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(TEXT, JSON, min_size=1, max_size=4), st.sampled_from([None, 2]))
def test_json_is_yaml(document: dict[str, Any], indent: int | None) -> None:
    assert parse(json.dumps(document, ensure_ascii=False, indent=indent), "spec.yaml").plain() == document


@given(TEXT)
def test_quoted_text_is_text(text: str) -> None:
    assert read(json.dumps(text, ensure_ascii=False)) == text
    assert read("'" + text.replace("'", "''") + "'") == text


WORD = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
BLOCKS = st.recursive(
    WORD.filter(lambda word: type(scalar(word)) is str),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(WORD, inner, min_size=1, max_size=3),
    max_leaves=12,
)


def scalars_and_keys(node: Node) -> Iterator[tuple[str, Any]]:
    if node.is_map:
        for key, child in node.items():
            yield key, node.keys[key]
            yield from scalars_and_keys(child)
    elif node.is_list:
        for child in node.value:
            yield from scalars_and_keys(child)
    else:
        yield node.value, node.mark


@given(st.dictionaries(WORD, BLOCKS, min_size=1, max_size=4), st.booleans())
def test_places_lead_to_what_was_written(document: dict[str, Any], flow: bool) -> None:
    text = yaml.safe_dump(document, default_flow_style=flow, sort_keys=False)
    lines = text.split("\n")
    for word, mark in scalars_and_keys(parse(text, "spec.yaml")):
        here = lines[mark.line - 1][mark.column - 1 :]
        assert here.lstrip("'\"? ").startswith(word)


def test_columns_count_characters_not_bytes() -> None:
    root = parse("'ünï': {größe: 1, größer: 2}\n", "spec.yaml")
    inner = root.value["ünï"]
    assert (inner.mark.column, inner.keys["größer"].column, inner.value["größer"].mark.column) == (8, 19, 27)


@given(st.dictionaries(WORD, WORD, min_size=1, max_size=5), st.data())
def test_a_repeated_key_is_refused_at_its_second_place(document: dict[str, str], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(document)))
    text = "".join(f"{name}: {value}\n" for name, value in [*document.items(), (key, "again")])
    with pytest.raises(SpecErrors) as caught:
        parse(text, "spec.yaml")
    (item,) = caught.value.problems
    assert (item.code, item.line, item.column) == ("duplicate-key", len(document) + 1, 1)


@pytest.mark.parametrize("depth", [DEEPEST - 1, DEEPEST])
def test_depth_is_bounded(depth: int) -> None:
    text = "value: " + "[" * depth + "]" * depth
    if depth < DEEPEST:
        assert parse(text, "spec.yaml").is_map
        return
    with pytest.raises(SpecErrors) as caught:
        parse(text, "spec.yaml")
    assert [item.code for item in caught.value.problems] == ["too-deep"]


def written(root: Node) -> list[Any]:
    """Words and their places; where nothing is written, each parser has its own place for it."""
    return [(word, mark) for word, mark in scalars_and_keys(root) if word is not None]


def both(monkeypatch: pytest.MonkeyPatch, text: str) -> tuple[Any, Any]:
    """What the C parser and the Python parser make of a text: a tree with its places, or None where it is refused."""

    def tree() -> Node | None:
        try:
            return parse(text, "spec.yaml")
        except SpecErrors:
            return None

    fast = tree()
    with monkeypatch.context() as context:
        context.delattr(yaml, "CSafeLoader")
        return fast, tree()


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_places_are_the_same_without_libyaml(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    fast, slow = both(monkeypatch, path.read_text("utf-8"))
    assert fast is not None
    assert fast == slow


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(WORD, BLOCKS, min_size=1, max_size=4), st.booleans(), st.data())
def test_damaged_text_is_read_alike_without_libyaml(
    monkeypatch: pytest.MonkeyPatch, document: dict[str, Any], flow: bool, data: st.DataObject
) -> None:
    text = yaml.safe_dump(document, default_flow_style=flow, sort_keys=False)
    place = data.draw(st.integers(0, len(text) - 1))
    text = text[:place] + data.draw(st.sampled_from(list("\t?\n :-{}[],#'\"&*!|>%x"))) + text[place + 1 :]
    fast, slow = both(monkeypatch, text)
    if fast is None or slow is None:
        return  # libyaml takes a little more, as YAML 1.2 does: tabs before comments
    assert fast.plain() == slow.plain()
    assert written(fast) == written(slow)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        root = parse(text, "spec.yaml")
    except SpecErrors as error:
        problems = error.problems
    else:
        assert root.is_map
        return
    assert problems
    assert all(item.line >= 1 and item.column >= 1 for item in problems)
