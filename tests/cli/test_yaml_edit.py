"""A waiver goes into a spec's text and nothing else in it changes."""

from __future__ import annotations

import difflib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from auditor.cli.yaml_edit import with_waiver

WAIVER: dict[str, Any] = {
    "check": "private/inversion",
    "reason": 'Public: "imagery", RISK-214 # see ticket',
    "owner": "j.doe@example.org",
    "granted": "2026-11-20",
    "expires": "2027-06-30",
    "at_value": 0.125,
}

TEXTS = {
    "absent": "name: x\n# the end\n",
    "absent, no newline at the end": "name: x",
    "empty": "name: x\nwaivers: []\n",
    "empty, comment": "name: x\nwaivers: []   # none yet\nreport: {}\n",
    "null": "name: x\nwaivers:\nreport: {}\n",
    "null, comment": "name: x\nwaivers:   # none yet\nreport: {}\n",
    "null, at the end": "name: x\nwaivers:",
    "written null": "name: x\nwaivers: null\nreport: {}\n",
    "dashes": "waivers:\n  - {check: a, reason: r}   # keep\n  # after\n\nreport: {}\n",
    "dashes, not indented": "waivers:\n- {check: a, reason: r}\nreport: {}\n",
    "dashes, block items": (
        "waivers:\n  - check: a\n    reason: r # keep\n\n"
        "  - check: b\n    reason: >\n      long\n      text\n\nreport: {}\n"
    ),
    "dashes, last line": "name: x\nwaivers:\n  - check: a\n    reason: a-b - c",
    "dashes, dash in text": "waivers:\n  -   check: a - b\n      reason: 'x - y'\nreport: {}\n",
    "brackets": "waivers: [{check: a, reason: r}]  # keep\nreport: {}\n",
    "brackets, lines": "waivers: [\n  {check: a, reason: r},  # one\n  {check: b, reason: r}   # two\n]\nreport: {}\n",
    "brackets, trailing comma": "waivers: [\n  {check: a, reason: r},\n]\nreport: {}\n",
    "windows": "name: x\r\nwaivers:\r\n  - {check: a}\r\nreport: {}\r\n",
    "windows, absent": "name: x\r\n",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_the_waiver_is_the_last_and_the_rest_is_as_it_was(text: str) -> None:
    edited = with_waiver(text, WAIVER)
    before, after = load(text), load(edited)
    assert after.pop("waivers") == [*(before.pop("waivers", None) or []), WAIVER]
    assert after == before
    assert_only_added(text, edited)
    assert ("\r\n" in edited) == ("\r\n" in text)


def test_a_second_one_follows_the_first() -> None:
    for text in TEXTS.values():
        twice = with_waiver(with_waiver(text, WAIVER), {**WAIVER, "check": "b"})
        assert [item["check"] for item in load(twice)["waivers"]][-2:] == ["private/inversion", "b"]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40))
def test_any_reason_is_read_back_as_written(reason: str) -> None:
    edited = with_waiver("name: x\n", {**WAIVER, "reason": reason})
    assert load(edited)["waivers"][0]["reason"] == reason


def load(text: str) -> Any:
    """As the spec language reads it: dates are strings."""
    loader = type(
        "Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": dict(yaml.SafeLoader.yaml_implicit_resolvers)}
    )
    for first, resolvers in loader.yaml_implicit_resolvers.items():
        loader.yaml_implicit_resolvers[first] = [item for item in resolvers if item[0] != "tag:yaml.org,2002:timestamp"]
    return yaml.load(text, Loader=loader)


def assert_only_added(text: str, edited: str) -> None:
    """No character of `text` is lost, but for spaces, `null` and the bracket that an item goes before."""
    for operation in difflib.SequenceMatcher(None, text, edited, autojunk=False).get_opcodes():
        kind, start, stop, *_ = operation
        if kind in ("delete", "replace"):
            assert text[start:stop].strip() in ("", "null"), text[start:stop]
