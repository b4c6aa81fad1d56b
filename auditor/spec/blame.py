"""From pydantic's errors to problems of a spec: each at its line and column, with a code and the likely fix."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from auditor.spec.composing import Problems
from auditor.spec.problem import nearest, suggestion
from auditor.spec.tree import Node, place
from auditor.spec.yaml import scalar

WORDS = ("literal_error", "enum", "unknown_tag", "one_tag", "union_tag_invalid", "union_tag_not_found")
BOUNDS = ("greater_than", "less_than", "too_short", "too_long", "finite_number", "multiple_of")
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")
NAMES = {
    "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number", "string_type": "text",
    "bool_type": "true or false", "dict_type": "a map", "model_type": "a map", "model_attributes_type": "a map",
    "dataclass_type": "a map", "tuple_type": "a list", "list_type": "a list",
}  # fmt: skip


def report(error: ValidationError, root: Node, model: type | None, problems: Problems) -> None:
    """Adds what `error` found in `root`, the tree that was validated as `model`."""
    from auditor.spec.codes import CODES

    found = [_Found(item, root) for item in error.errors(include_url=False, include_input=False)]
    for item in found:
        if item.broad and any(other is not item and other.below(item) for other in found):
            continue
        kind = item.kind
        at = item.path
        mark, _ = place(root, at)
        if kind in CODES:
            context = item.context
            problems.add(place(root, (*at, *context.get("at", ())))[0], kind, context["what"], context.get("remedy"))
        elif kind in MISSING and isinstance(item.loc[-1], int):
            problems.add(mark, "out-of-range", f"the list ends before its item {item.loc[-1] + 1}")
        elif kind in MISSING:
            key = str(item.loc[-1])
            problems.add(mark, "missing-key", f"{key!r} is missing", f"add `{key}: ...`")
        elif kind in UNKNOWN:
            key = str(item.loc[-1])
            known = [other for other in known_keys(model, item.loc[:-1]) if other != key]
            problems.add(
                place(root, at, of_key=True)[0],
                "unknown-key",
                f"{key!r} is not known here",
                suggestion(key, known) if known else "remove it",
            )
        elif kind in WORDS:
            problems.add(mark, "wrong-value", *_words(item, root))
        elif kind == "too_short" and len(_value(root, at)) >= item.context["min_length"]:
            continue  # pydantic counts only the items that are in order
        elif kind.startswith(BOUNDS):
            problems.add(mark, "out-of-range", _bound(item, root))
        elif kind == "string_pattern_mismatch":
            pattern = item.context["pattern"]
            problems.add(mark, "wrong-value", f"{_value(root, at)!r} does not have the form {pattern}")
        elif kind == "value_error":
            problems.add(mark, "wrong-value", _sentence(item))
        elif kind == "none_required":
            problems.add(mark, "wrong-type", f"{at[-1]!r} cannot be stated here", "remove it")
        else:
            same = [NAMES.get(other.kind, "") for other in found if other.at == item.at]
            expected = " or ".join(dict.fromkeys(name for name in same if name)) or item.message
            value = _value(root, at)
            problems.add(
                mark, "wrong-type", f"expected {expected}, found {_described(value)}", _instead(value, expected)
            )


class _Found:
    """One error of pydantic's, with the part of its location that exists in the tree."""

    def __init__(self, item: Mapping[str, Any], root: Node) -> None:
        self.loc = tuple(item["loc"])
        self.kind = str(item["type"])
        self.message = str(item["msg"])
        self.context = dict(item.get("ctx") or {})
        self.path = _existing(root, self.loc)
        self.at = place(root, self.path)[0]

    @property
    def broad(self) -> bool:
        """Whether it speaks of a whole value's type, which a member of a union says of a value meant for another."""
        return self.kind in NAMES or self.kind in WORDS or self.kind.endswith(("_type", "none_required"))

    def below(self, other: _Found) -> bool:
        """Whether it blames a part of what `other` blames as a whole."""
        strictly = len(self.path) > len(other.path) and self.path[: len(other.path)] == other.path
        same = self.path == other.path and not self.broad
        return strictly or (same and other.broad)


def _existing(root: Node, loc: Sequence[Any]) -> tuple[Any, ...]:
    """The parts of `loc` that lead somewhere: pydantic adds names of union members and tags to it."""
    path: list[Any] = []
    for part in loc:
        if place(root, (*path, part))[1] > len(path):
            path.append(part)
    return tuple(path)


def _words(item: _Found, root: Node) -> tuple[str, str | None]:
    expected = str(item.context.get("expected") or item.context.get("expected_tags") or "")
    words = [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",") if word.strip()]
    value = _value(root, item.path)
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value))
    shown = f"{value!r} is " if isinstance(value, (str, int, float, bool)) else ""
    close = nearest(value, words) if isinstance(value, str) else None
    remedy = None if close is None else f"did you mean {close!r}?"
    return f"{shown}none of {', '.join(words)}" if shown else f"expected one of {', '.join(words)}", remedy


def _value(root: Node, path: Iterable[Any]) -> Any:
    node = root
    for part in path:
        node = node.value[part]
    return node.plain()


def _sentence(item: _Found) -> str:
    text = item.message.removeprefix("Value error, ").removeprefix("Input ")
    return f"the value {text}" if item.message.startswith("Input ") else text


def _bound(item: _Found, root: Node) -> str:
    value, context = _value(root, item.path), item.context
    if isinstance(value, (list, dict)):
        side = f"at least {context['min_length']}" if "min_length" in context else f"at most {context['max_length']}"
        return f"{_described(value)} of {len(value)} stands here, expected {side}"
    return f"{value!r}{item.message.removeprefix('Input')}" if item.message.startswith("Input ") else item.message


def _described(value: Any) -> str:
    match value:
        case dict():
            return "a map"
        case list():
            return "a list"
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text {value!r}"
        case _:
            return f"the number {value!r}"


def _instead(value: Any, expected: str) -> str | None:
    if expected == "text" and isinstance(value, (int, float, bool)):
        return f'write it in quotes: "{json.dumps(value)}"'
    if "number" in expected and isinstance(value, str) and isinstance(scalar(value), (int, float)):
        return f"write {value} without quotes"
    if expected == "a list" and isinstance(value, (str, int, float)):
        return f"write [{value}]"
    return None


def known_keys(model: Any, loc: Sequence[Any]) -> list[str]:
    """The keys a map at `loc` of a model may have, as far as its annotations tell."""
    kinds = [model]
    for part in loc:
        if not isinstance(part, str):
            kinds = [inner for kind in kinds for inner in _members(kind)]
            continue
        nearer = [inner for kind in kinds for name, inner in _fields(kind).items() if name == part]
        kinds = [member for inner in nearer for member in _members(inner)] or kinds
    return list(dict.fromkeys(name for kind in kinds for name in _fields(kind) if name != "name" or kind is not model))


def _fields(kind: Any) -> dict[str, Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {info.alias or name: info.annotation for name, info in kind.model_fields.items()}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        spelled = getattr(kind, "spelled", {})
        try:
            hints = typing.get_type_hints(kind, include_extras=True)
        except NameError:
            hints = {}
        return {spelled.get(item.name, item.name): hints.get(item.name) for item in dataclasses.fields(kind)}
    return {}


def _members(annotation: Any) -> list[Any]:
    """The classes within an annotation, through unions, Annotated and containers."""
    arguments = typing.get_args(annotation)
    return [member for inner in arguments for member in _members(inner)] if arguments else [annotation]
