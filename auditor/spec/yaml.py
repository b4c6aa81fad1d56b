"""YAML 1.2 into a tree with places. Data only: tags, anchors, aliases and duplicate keys are refused.

PyYAML reads YAML 1.1, in which `on`, `no`, `1e-5` and `12:30` are not what they look like, so only its parser is used,
event by event; scalars are read by the core schema of YAML 1.2.2 (10.3). Depth and size are bounded.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from auditor.errors import SpecErrors, SpecProblem
from auditor.spec.tree import Mark, Node

LARGEST = 1 << 20
DEEPEST = 50
WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
INTEGER = re.compile(r"[-+]?[0-9]+")
OCTAL = re.compile(r"0o[0-7]+")
HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
INFINITY = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
NOT_A_NUMBER = re.compile(r"\.(?:nan|NaN|NAN)")
LONGEST_INTEGER = 400
"""Digits; a longer number is read as infinite, which a spec refuses."""
INVISIBLE = re.compile("[\x85\u2028\u2029\ufeff]")
"""Line breaks of YAML 1.1 that are plain characters in 1.2, and the byte order mark: no editor shows them."""


def scalar(text: str) -> Any:
    """A plain scalar by the core schema of YAML 1.2: null, bool, int, float, or the text itself."""
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text) and len(text) <= LONGEST_INTEGER:
        return int(text)
    if OCTAL.fullmatch(text):
        return int(text[2:], 8) if len(text) <= LONGEST_INTEGER else math.inf
    if HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16) if len(text) <= LONGEST_INTEGER else math.inf
    if FLOAT.fullmatch(text):
        return float(text)
    if found := INFINITY.fullmatch(text):
        return -math.inf if found[1] == "-" else math.inf
    return math.nan if NOT_A_NUMBER.fullmatch(text) else text


def read(path: Path, name: str) -> tuple[Node, str]:
    """The tree of a file and its text; `name` is the file as problems call it. Raises SpecErrors."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        what = f"the file cannot be read: {error.strerror}"
        raise _refused(Mark(name, 1, 1), "missing-file", what, "correct the path or its permissions") from None
    if len(raw) > LARGEST:
        raise _refused(
            Mark(name, 1, 1), "too-large", f"the file has {len(raw):,} bytes, a spec at most {LARGEST:,}", "split it"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        raise _refused(Mark(name, line, column), "not-utf-8", "the file is not UTF-8", "save it as UTF-8") from None
    return parse(text, name), text


def parse(text: str, name: str) -> Node:
    """The tree of a YAML document. Raises SpecErrors with every problem up to where the syntax breaks."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(name)
    if found := INVISIBLE.search(text):
        what = f"the character U+{ord(found[0]):04X} is invisible and read in several ways"
        remedy = f'write "\\u{ord(found[0]):04x}" in double quotes, or a space'
        raise _refused(_mark_at(text, found.start(), name), "yaml-syntax", what, remedy)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = " ".join(part for part in (error.context, error.problem) if part)
        builder.problems.append(SpecProblem(name, line, column, "yaml-syntax", what or "not YAML"))
    except yaml.reader.ReaderError as error:
        builder.problems.append(SpecProblem(*_mark_at(text, error.position, name), "yaml-syntax", f"{error.reason}"))
    if builder.problems:
        raise SpecErrors(builder.problems)
    root = builder.root
    if root is None or not root.is_map:
        mark = root.mark if root is not None else Mark(name, 1, 1)
        raise _refused(mark, "not-a-map", "a spec is a map of sections", "begin with `auditor: 1`")
    return root


def _mark_at(text: str, offset: int, name: str) -> Mark:
    before = text[:offset]
    return Mark(name, before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)


def _refused(mark: Mark, code: str, what: str, remedy: str | None = None) -> SpecErrors:
    return SpecErrors([SpecProblem(*mark, code, what, remedy)])


class _Open:
    """A map or list whose end has not been met."""

    def __init__(self, mark: Mark, is_map: bool) -> None:
        self.mark, self.is_map = mark, is_map
        self.items: dict[str, Node] = {}
        self.keys: dict[str, Mark] = {}
        self.list: list[Node] = []
        self.key: tuple[str, Mark] | None = None
        self.repeated = False

    def close(self) -> Node:
        return Node(self.items, self.mark, self.keys) if self.is_map else Node(self.list, self.mark)


class _Builder:
    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[SpecProblem] = []
        self.stack: list[_Open] = []
        self.root: Node | None = None
        self.documents = 0

    def take(self, event: Any) -> None:
        mark = Mark(self.name, event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if event.version is not None and tuple(event.version) != (1, 2):
                version = ".".join(map(str, event.version))
                self._problem(mark, "yaml-syntax", f"the file says it is YAML {version}", "specs are YAML 1.2")
            if self.documents == 2:
                self.problems.append(SpecProblem(*mark, "several-documents", "the file holds more than one document"))
                raise SpecErrors(self.problems)
        elif isinstance(event, yaml.AliasEvent):
            self._problem(mark, "alias", f"alias *{event.anchor}", "write the value out, or use `vars` or `extends`")
            self._add(Node(None, mark), scalar_key=None)
        elif isinstance(event, yaml.ScalarEvent):
            self._refuse(event, mark)
            plain = event.style is None or event.style == ""
            self._add(Node(scalar(event.value) if plain else event.value, mark), scalar_key=event.value)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._refuse(event, mark)
            if len(self.stack) >= DEEPEST:
                self._problem(mark, "too-deep", f"nested deeper than {DEEPEST} levels", "flatten it")
                raise SpecErrors(self.problems)
            self.stack.append(_Open(mark, isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._add(self.stack.pop().close(), scalar_key=None)

    def _refuse(self, event: Any, mark: Mark) -> None:
        if event.anchor is not None:
            self._problem(mark, "alias", f"anchor &{event.anchor}", "write the value out, or use `vars` or `extends`")
        if event.tag is not None:
            self._problem(
                mark,
                "tag",
                f"tag {event.tag.replace('tag:yaml.org,2002:', '!!')}",
                "leave it out: a spec is plain data",
            )

    def _problem(self, mark: Mark, code: str, what: str, remedy: str | None = None) -> None:
        self.problems.append(SpecProblem(*mark, code, what, remedy))

    def _add(self, node: Node, *, scalar_key: str | None) -> None:
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if not top.is_map:
            top.list.append(node)
        elif top.key is None:
            if scalar_key is None:
                self._problem(node.mark, "yaml-syntax", "a key must be a word", "write `key: value`")
            top.key = (scalar_key or "", node.mark)
            top.repeated = top.key[0] in top.items
            if top.repeated:
                first = top.keys[top.key[0]]
                self._problem(
                    node.mark,
                    "duplicate-key",
                    f"{top.key[0]!r} is stated twice, first in line {first.line}",
                    "keep one of them",
                )
        else:
            key, place = top.key
            if not top.repeated:
                top.items[key], top.keys[key] = node, place
            top.key = None
