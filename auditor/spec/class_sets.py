"""Class sets (thesis 7.3): expressions over class names, written out as collections of sets."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from auditor.errors import SpecErrors
from auditor.spec.composing import MOST_FILES, Problems, is_file
from auditor.spec.problem import suggestion
from auditor.spec.tree import Node
from auditor.spec.yaml import read

Collection = tuple[tuple[str, ...], ...]
FORMS = ("each_class_with", "chain", "any", "file")


def class_sets(
    sets: Node, classes: Sequence[str], base: Path, problems: Problems, files: list[Path]
) -> dict[str, Collection]:
    """The collections that `sets` declares, in the order of `classes` within each set, duplicates dropped.

    Files that an expression names are added to `files`.
    """
    if not sets.is_map:
        problems.add(sets.mark, "wrong-type", "sets is a map of names to expressions")
        return {}
    reader = _Reader(tuple(classes), base, problems, files)
    return {name: tuple(dict.fromkeys(reader.collection(node))) for name, node in sets.items()}


class _Reader:
    def __init__(self, classes: tuple[str, ...], base: Path, problems: Problems, files: list[Path]) -> None:
        self.classes, self.base, self.problems, self.files = classes, base, problems, files
        self.within: list[Path] = []

    def collection(self, node: Node) -> list[tuple[str, ...]]:
        if node.is_list:
            self._not_empty(node)
            return self._set(self._names(node), node)
        if not node.is_map or len(node.value) != 1:
            self.problems.add(
                node.mark,
                "wrong-type",
                "a class set is a list of class names, or a map with one key",
                f"the key is one of {', '.join(FORMS)}",
            )
            return []
        ((form, body),) = node.value.items()
        if form not in FORMS:
            self.problems.add(
                node.keys[form], "unknown-key", f"no class set is made by {form!r}", suggestion(form, FORMS)
            )
            return []
        if form == "file":
            return self._file(body)
        if not body.is_list:
            self.problems.add(body.mark, "wrong-type", f"{form} takes a list")
            return []
        self._not_empty(body, 2 if form == "chain" else 1)
        if form == "any":
            return [one for child in body.value for one in self.collection(child)]
        names = self._names(body)
        if form == "chain":
            return [one for pair in itertools.pairwise(names) for one in self._set(list(pair), body)]
        return [one for name in self.classes for one in self._set([*names, name], body)] if names else []

    def _not_empty(self, node: Node, least: int = 1) -> None:
        if len(node.value) < least:
            what = f"a list of {len(node.value)} stands here, expected at least {least}"
            self.problems.add(node.mark, "out-of-range", what)

    def _names(self, node: Node) -> list[str]:
        names = []
        for child in node.value:
            if not isinstance(child.value, str):
                self.problems.add(child.mark, "wrong-type", f"{child.plain()!r} is no class name", "quote it")
            elif child.value not in self.classes:
                self.problems.add(
                    child.mark,
                    "unknown-class",
                    f"no class is named {child.value!r}",
                    suggestion(child.value, self.classes),
                )
            else:
                names.append(child.value)
        return names

    def _set(self, names: list[str], node: Node) -> list[tuple[str, ...]]:
        chosen = tuple(name for name in self.classes if name in names)
        if len(chosen) == len(self.classes):
            self.problems.add(
                node.mark, "whole-set", "a class set holds every class", "leave one out: no confusion leaves the set"
            )
            return []
        return [chosen] if chosen else []

    def _file(self, node: Node) -> list[tuple[str, ...]]:
        path = self.base / str(node.value)
        if not isinstance(node.value, str) or not is_file(path):
            self.problems.add(node.mark, "missing-file", f"there is no file {path.as_posix()}", "correct the path")
            return []
        if path.resolve() in self.within:
            self.problems.add(node.mark, "cycle", f"{node.value} names itself", "break the circle")
            return []
        if len(self.files) >= MOST_FILES:
            what = f"the spec names more than {MOST_FILES} files"
            self.problems.add(node.mark, "too-large", what, "join some of them")
            return []
        self.files.append(path)
        try:
            root, _ = read(path, path.as_posix())
        except SpecErrors as error:
            self.problems.take(error.problems)
            return []
        self.within.append(path.resolve())
        sets = [one for _, child in root.items() for one in self.collection(child)]
        self.within.pop()
        return sets
