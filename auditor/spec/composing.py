"""One tree out of many: `include`, `vars`, `extends` and `defaults` resolved, every value keeping its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from auditor.errors import SpecErrors, SpecProblem
from auditor.spec.problem import suggestion
from auditor.spec.tree import Mark, Node, merged
from auditor.spec.yaml import read

VARIABLE = re.compile(r"\$\{([^{}]*)\}")
MOST_FILES = 100
NEVER_INHERITED = ("why", "tags", "extends")
FILLED_IN = ("over", "confidence", "seed")


class Problems(list[SpecProblem]):
    """Collected, each once however many checks inherit it."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[SpecProblem] = set()
        self._without_value: set[Mark] = set()

    def add(self, mark: Mark, code: str, what: str, remedy: str | None = None, *, alone: bool = False) -> None:
        """`alone`: nothing that is found later at this place counts, since there is no value to find fault with."""
        problem = SpecProblem(*mark, code, what, remedy)
        if problem in self._known or mark in self._without_value:
            return
        self._known.add(problem)
        self.append(problem)
        if alone:
            self._without_value.add(mark)

    def take(self, problems: Iterable[SpecProblem]) -> None:
        """Adds what another reader found."""
        for item in problems:
            self.add(Mark(item.file, item.line, item.column), item.code, item.what, item.remedy)


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file system takes names none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_all(path: Path, problems: Problems) -> tuple[Node, str, tuple[Path, ...]]:
    """The tree of `path` laid on those it includes, its own text, and all files read. Raises SpecErrors."""
    files: list[Path] = []
    texts: list[str] = []
    root = _included(path, path.as_posix(), (), problems, files, texts)
    return root, texts[0], tuple(files)


def _included(
    path: Path, name: str, within: tuple[Path, ...], problems: Problems, files: list[Path], texts: list[str]
) -> Node:
    root, text = read(path, name)
    files.append(path)
    texts.append(text)
    include = root.get("include")
    if include is None:
        return root
    rest = root.without("include")
    parts = include.value if include.is_list else [include]
    base: Node | None = None
    for part in parts:
        if not isinstance(part.value, str):
            problems.add(part.mark, "wrong-type", "include takes paths of specs", "write include: [common.yaml]")
            continue
        other = path.parent / part.value
        if is_file(other) and other.resolve() in (*within, path.resolve()):
            problems.add(part.mark, "cycle", f"{part.value} includes itself", "break the circle")
        elif len(files) >= MOST_FILES:
            problems.add(part.mark, "too-large", f"the spec includes more than {MOST_FILES} files", "join some of them")
            break
        elif not is_file(other):
            problems.add(part.mark, "missing-file", f"there is no file {other.as_posix()}", "correct the path")
        else:
            try:
                tree = _included(other, other.as_posix(), (*within, path.resolve()), problems, files, texts)
            except SpecErrors as error:
                problems.take(error.problems)
                continue
            base = tree if base is None else merged(base, tree)
    return rest if base is None else merged(base, rest)


def substituted(root: Node, problems: Problems) -> Node:
    """`${name}` as a whole scalar replaced by the variable of that name; `vars` itself is taken out."""
    variables = root.get("vars")
    rest = root.without("vars")
    known: dict[str, Node] = {}
    if variables is not None:
        if not variables.is_map:
            problems.add(variables.mark, "wrong-type", "vars is a map of names to scalars")
        for name, node in variables.items():
            if node.is_map or node.is_list:
                problems.add(node.mark, "wrong-type", f"variable {name!r} is no scalar", "write the value at its place")
            elif isinstance(node.value, str) and VARIABLE.fullmatch(node.value):
                problems.add(node.mark, "cycle", f"variable {name!r} names another variable", "write its value out")
            else:
                known[name] = node
    return _replaced(rest, known, set(known), problems)


def _replaced(node: Node, known: Mapping[str, Node], names: set[str], problems: Problems) -> Node:
    if node.is_map:
        value: Any = {key: _replaced(child, known, names, problems) for key, child in node.value.items()}
        return Node(value, node.mark, node.keys)
    if node.is_list:
        return Node([_replaced(child, known, names, problems) for child in node.value], node.mark)
    found = VARIABLE.fullmatch(node.value) if isinstance(node.value, str) else None
    if found is None:
        for part in VARIABLE.findall(node.value) if isinstance(node.value, str) else ():
            if part in names:
                what = f"${{{part}}} stands inside a longer text, where no variable is put in"
                problems.add(node.mark, "partial-variable", what, "make the whole text a variable")
        return node
    if found[1] not in known:
        what = f"no variable is named {found[1]!r}"
        problems.add(node.mark, "unknown-variable", what, suggestion(found[1], names), alone=True)
        return Node(None, node.mark)
    return Node(known[found[1]].value, node.mark)


def extended(checks: Node, problems: Problems) -> dict[str, Node]:
    """The body of every check with what it inherits; those whose inheritance is broken are left out."""
    done: dict[str, Node | None] = {}
    for name in checks.value:
        line: list[str] = []
        while name not in done:
            line.append(name)
            node = checks.value[name]
            parent = node.get("extends")
            if not node.is_map:
                problems.add(node.mark, "wrong-type", f"check {name!r} is no map", "write `type: ...` below its name")
                done[name] = None
            elif parent is None:
                done[name] = node
            elif not isinstance(parent.value, str):
                problems.add(parent.mark, "wrong-type", "extends names one check")
                done[name] = None
            elif parent.value in line:
                what = f"{name} extends itself by way of {parent.value}"
                problems.add(parent.mark, "cycle", what, "break the circle")
                done[name] = None
            elif parent.value not in checks.value:
                others = [other for other in checks.value if other != name]
                what = f"no check is named {parent.value!r}"
                problems.add(parent.mark, "unknown-check", what, suggestion(parent.value, others))
                done[name] = None
            else:
                name = parent.value
        for heir in reversed(line):
            if heir not in done:
                own = checks.value[heir]
                base = done[own.value["extends"].value]
                done[heir] = None if base is None else _heir(base, own.without("extends"))
    return {name: node for name in checks.value if (node := done[name]) is not None}


def _heir(base: Node, own: Node) -> Node:
    """`own` laid on what `base` hands on; a stated threshold of one kind replaces an inherited one of the other."""
    result = merged(base.without(*NEVER_INHERITED), own)
    for stated, other in (("require", "budget"), ("budget", "require")):
        if own.get(stated) is not None and own.get(other) is None:
            result = result.without(other)
    return result


def with_defaults(body: Node, defaults: Node | None) -> Node:
    """A check's body with `over`, `confidence` and `seed` from `defaults` where it states none."""
    if defaults is None:
        return body
    given = {key: node for key, node in defaults.items() if key in FILLED_IN}
    return body.with_items(given, {key: defaults.keys[key] for key in given})
