"""A spec as a tree that remembers where each key and value was written, whatever was merged since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Mark(NamedTuple):
    """A place in a file, both numbers 1-based."""

    file: str
    line: int
    column: int


@dataclass(frozen=True)
class Node:
    """A value with its place: a scalar, a list of nodes, or a map of nodes. `keys` are the places of a map's keys."""

    value: Any
    mark: Mark
    keys: Mapping[str, Mark] = field(default_factory=dict)

    @property
    def is_map(self) -> bool:
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        return isinstance(self.value, list)

    def get(self, key: str) -> Node | None:
        """The value under `key` of a map, None where there is none."""
        return self.value.get(key) if self.is_map else None

    def items(self) -> Iterator[tuple[str, Node]]:
        return iter(self.value.items()) if self.is_map else iter(())

    def plain(self) -> Any:
        """The value alone, as JSON types."""
        if self.is_map:
            return {key: node.plain() for key, node in self.value.items()}
        if self.is_list:
            return [node.plain() for node in self.value]
        return self.value

    def without(self, *keys: str) -> Node:
        kept = {key: node for key, node in self.items() if key not in keys}
        return Node(kept, self.mark, {key: mark for key, mark in self.keys.items() if key in kept})

    def with_items(self, items: Mapping[str, Node], keys: Mapping[str, Mark]) -> Node:
        """This map with further entries; those it has stay."""
        return Node({**items, **self.value}, self.mark, {**keys, **self.keys})

    def scalars(self) -> Iterator[Node]:
        """Every scalar below, in order."""
        if self.is_map:
            for node in self.value.values():
                yield from node.scalars()
        elif self.is_list:
            for node in self.value:
                yield from node.scalars()
        else:
            yield self


ALTERNATIVES = ("guarantee", "attack", "distribution", "region", "objective", "optimizer", "loss")
"""Keys whose map has one key that says which of several it is."""


def merged(base: Node, over: Node) -> Node:
    """`over` laid on `base`: maps merge key by key, everything else is replaced. Places stay those of the writing.

    Under ALTERNATIVES another choice replaces the former: `{affinity: pets}` on `{top_k: 3}` is `{affinity: pets}`.
    """
    if not (base.is_map and over.is_map):
        return over
    value = dict(base.value)
    for key, node in over.items():
        former: Node | None = value.get(key)
        if former is None or (key in ALTERNATIVES and _other_choice(former, node)):
            value[key] = node
        else:
            value[key] = merged(former, node)
    return Node(value, over.mark, {**base.keys, **over.keys})


def _other_choice(former: Node, node: Node) -> bool:
    return former.is_map and node.is_map and len(node.value) == 1 and node.value.keys() != former.value.keys()


def place(root: Node, path: tuple[Any, ...], *, of_key: bool = False) -> tuple[Mark, int]:
    """Where `path` leads, and how many of its parts lead anywhere; parts that name no child are passed over.

    `of_key`: the place of the last key found rather than of its value.
    """
    node, mark, found = root, root.mark, 0
    for part in path:
        child = None
        if node.is_map and isinstance(part, str):
            child = node.get(part)
            if child is not None:
                mark = node.keys.get(part, child.mark) if of_key else child.mark
        elif node.is_list and isinstance(part, int) and 0 <= part < len(node.value):
            child = node.value[part]
            mark = child.mark
        if child is not None:
            node, found = child, found + 1
    return mark, found
