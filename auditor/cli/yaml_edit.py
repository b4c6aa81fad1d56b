"""Adding a waiver to a spec's text without touching the rest of it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

KEY = "waivers"


def with_waiver(text: str, waiver: Mapping[str, str | float]) -> str:
    """`text` with `waiver` as the last item of its `waivers`, in the style of what is there.

    A list in brackets gets one more item in brackets; a list with dashes one more dash, under the others; a spec
    without `waivers` gets them at its end. `text` must be a YAML map.
    """
    ending = "\r\n" if "\r\n" in text else "\n"
    item = "{" + ", ".join(f"{key}: {_scalar(value)}" for key, value in waiver.items()) + "}"
    node = _waivers(text)
    if node is None:
        body = text if not text or text.endswith("\n") else text + ending
        return f"{body}{ending}{KEY}:{ending}  - {item}{ending}"
    if not isinstance(node, SequenceNode):
        return _in_place_of_null(text, node, item, ending)
    if node.flow_style:
        return _in_brackets(text, node, item)
    last = node.value[-1]
    line = _line_end(text, len(text[: _end(last)].rstrip()))
    start = text.rindex("-", 0, last.start_mark.index)
    indent = text[text.rfind("\n", 0, start) + 1 : start]
    head = text[:line]
    return f"{head}{'' if head.endswith(chr(10)) else ending}{indent}- {item}{ending}{text[line:]}"


def _waivers(text: str) -> Node | None:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, MappingNode):
        raise ValueError("not a YAML map")
    return next((value for key, value in root.value if getattr(key, "value", None) == KEY), None)


def _in_brackets(text: str, node: SequenceNode, item: str) -> str:
    close = node.end_mark.index - 1
    if not node.value:
        return f"{text[:close].rstrip()}{item}{text[close:]}"
    last = _end(node.value[-1])
    between = text[last:close]
    comma = "" if between.lstrip().startswith(",") else ","
    column = node.value[-1].start_mark.column
    one_line = node.value[-1].start_mark.line == node.start_mark.line
    gap = " " if one_line else "\n" + " " * column
    if comma:
        return f"{text[:last]},{gap}{item}{text[last:]}"
    after = last + between.index(",") + 1
    return f"{text[:after]}{gap}{item}{text[after:]}"


def _in_place_of_null(text: str, node: Node, item: str, ending: str) -> str:
    """`waivers:` or `waivers: null`: the list starts on the next line."""
    head = text[: node.start_mark.index].rstrip(" ")
    rest = text[node.end_mark.index :]
    colon = head.rindex(":", 0, node.start_mark.index) + 1
    comment = text[colon : _line_end(text, colon)].strip()
    if comment.startswith("#"):
        after = _line_end(text, colon)
        return f"{text[:after]}  - {item}{ending}{text[after:]}"
    return f"{text[:colon]}{ending}  - {item}{rest if rest.startswith((chr(10), chr(13))) else ending + rest}"


def _end(node: Node) -> int:
    """Where the node's own text ends: block collections reach to the next token, so their last scalar counts."""
    if getattr(node, "flow_style", True) is not False or not node.value:
        return node.end_mark.index
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _line_end(text: str, index: int) -> int:
    """Just behind the end of the line that `index` is on."""
    stop = text.find("\n", index)
    return len(text) if stop < 0 else stop + 1


def _scalar(value: str | float) -> str:
    """Plain where YAML reads it back as that string, else in double quotes (JSON strings are YAML)."""
    if isinstance(value, (int, float)):
        return repr(value)
    plain = bool(value) and all(character.isalnum() or character in "@._/+-" for character in value)
    try:
        unchanged = plain and (yaml.safe_load(value) == value or _is_date(value)) and value[0].isalnum()
    except yaml.YAMLError:
        unchanged = False
    return value if unchanged else json.dumps(value, ensure_ascii=False)


def _is_date(value: str) -> bool:
    """The spec language (YAML 1.2) reads 2026-11-24 as a string."""
    return len(value) == 10 and value.replace("-", "").isdigit()
