"""Layout of a directed graph from left to right (Sugiyama, Tagawa & Toda 1981).

Layers by longest path; long edges on lanes of their own, so that they do not cross boxes; order within a layer by the
mean of the neighbours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Edge = tuple[str, str]
LANE = 11.0
"""Height of the lane of an edge that passes a column."""


@dataclass(frozen=True)
class Layout:
    """`columns` of nodes and lanes, the middle of each in `at`, and for every edge the lanes it runs through."""

    columns: tuple[tuple[str, ...], ...]
    at: Mapping[str, float]
    lanes: Mapping[Edge, tuple[str, ...]]
    height: float

    def column(self, node: str) -> int:
        return next(k for k, column in enumerate(self.columns) if node in column)


def arrange(
    nodes: Sequence[str], edges: Collection[Edge], *, last: Sequence[str] = (), pitch: float, last_pitch: float = 0.0
) -> Layout:
    """Columns from left to right, each node right of all it needs; those in `last` share the last column, in order."""
    columns = _layers(nodes, edges, last=last)
    place = {node: k for k, column in enumerate(columns) for node in column}
    lanes: dict[Edge, tuple[str, ...]] = {}
    hops: list[Edge] = []
    for source, target in edges:
        path = [f"{source}→{target}@{k}" for k in range(place[source] + 1, place[target])]
        for k, lane in enumerate(path, place[source] + 1):
            columns[k].append(lane)
        lanes[source, target] = tuple(path)
        hops += pairwise([source, *path, target])
    columns = _untangled(columns, hops, fixed=set(last))
    kept = set(nodes)
    sizes = {node: (pitch if node in kept else LANE) for column in columns for node in column}
    sizes.update(dict.fromkeys(last, last_pitch or pitch))
    height = max(sum(sizes[node] for node in column) for column in columns)
    return Layout(tuple(map(tuple, columns)), _heights(columns, hops, sizes, height, set(last)), lanes, height)


def reduced(nodes: Sequence[str], edges: Collection[Edge]) -> list[Edge]:
    """The edges that no longer path makes superfluous (transitive reduction of an acyclic graph), in a fixed order."""
    after: dict[str, set[str]] = {node: set() for node in nodes}
    for source, target in edges:
        after[source].add(target)
    reach: dict[str, set[str]] = {}
    for node in reversed(_ordered(nodes, edges)):
        reach[node] = after[node].union(*(reach.get(other, set()) for other in after[node]))
    place = {node: k for k, node in enumerate(nodes)}
    kept = [
        (source, target)
        for source in nodes
        for target in after[source]
        if not any(target in reach[other] for other in after[source] if other != target)
    ]
    return sorted(kept, key=lambda edge: (place[edge[0]], place[edge[1]]))


def _ordered(nodes: Sequence[str], edges: Collection[Edge]) -> list[str]:
    """A topological order that keeps the given one where it can. Nodes on a cycle come last, as given."""
    before: dict[str, set[str]] = {node: set() for node in nodes}
    for source, target in edges:
        before[target].add(source)
    done: dict[str, None] = {}
    waiting = list(nodes)
    while waiting:
        ready = [node for node in waiting if before[node] <= done.keys()]
        if not ready:
            return [*done, *waiting]
        done.update(dict.fromkeys(ready))
        waiting = [node for node in waiting if node not in done]
    return list(done)


def _layers(nodes: Sequence[str], edges: Collection[Edge], *, last: Sequence[str]) -> list[list[str]]:
    """Columns by longest path; a node that needs something is moved right towards what needs it."""
    order = _ordered(nodes, edges)
    targets: dict[str, list[str]] = {node: [] for node in nodes}
    needs: set[str] = set()
    for source, target in edges:
        targets[source].append(target)
        needs.add(target)
    depth = dict.fromkeys(nodes, 0)
    for node in order:
        for target in targets[node]:
            depth[target] = max(depth[target], depth[node] + 1)
    ends = set(last)
    deepest = max((depth[node] for node in nodes if node not in ends), default=0)
    for node in last:
        depth[node] = deepest + 1
    for node in reversed(order):
        if node not in ends and node in needs and targets[node]:
            depth[node] = max(depth[node], min(depth[target] for target in targets[node]) - 1)
    columns: list[list[str]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for node in nodes:
        columns[depth[node]].append(node)
    return [column for column in columns if column]


def _neighbours(edges: Collection[Edge]) -> dict[str, list[str]]:
    near: dict[str, list[str]] = {}
    for source, target in edges:
        near.setdefault(source, []).append(target)
        near.setdefault(target, []).append(source)
    return near


def _untangled(columns: list[list[str]], hops: Collection[Edge], *, fixed: Collection[str]) -> list[list[str]]:
    """Sweeps back and forth, sorting each column by the mean place of its neighbours; those with `fixed` nodes stay."""
    near = _neighbours(hops)
    for sweep in range(12):
        places = {node: (k + 0.5) / len(column) for column in columns for k, node in enumerate(column)}
        for k in range(len(columns)) if sweep % 2 else range(len(columns) - 1, -1, -1):
            if any(node in fixed for node in columns[k]):
                continue
            pull = {node: _mean([places[other] for other in near.get(node, [])], places[node]) for node in columns[k]}
            columns[k] = sorted(columns[k], key=lambda node: pull[node])
            places.update({node: (i + 0.5) / len(columns[k]) for i, node in enumerate(columns[k])})
    return columns


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _heights(
    columns: Sequence[Sequence[str]], hops: Collection[Edge], sizes: Mapping[str, float], total: float, fixed: set[str]
) -> dict[str, float]:
    """The middle of every node: near its neighbours, no closer than their sizes allow, inside [0, total]."""
    near = _neighbours(hops)
    at: dict[str, float] = {}
    for column in columns:
        free = (total - sum(sizes[node] for node in column)) / len(column)
        y = 0.0
        for node in column:
            at[node] = y + (sizes[node] + free) / 2
            y += sizes[node] + free
    for sweep in range(16):
        for column in columns if sweep % 2 else reversed(columns):
            if any(node in fixed for node in column):
                continue
            wish = [_mean([at[other] for other in near.get(node, [])], at[node]) for node in column]
            at.update(zip(column, _spread(wish, [sizes[node] for node in column], total), strict=True))
    return at


def _spread(wish: Sequence[float], sizes: Sequence[float], total: float) -> list[float]:
    """Places in the given order, as near to `wish` as their sizes allow (isotonic regression), inside [0, total]."""
    offsets, run = [], 0.0
    for size in sizes:
        offsets.append(run + size / 2)
        run += size
    room = total - run
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wish, offsets, strict=True):
        pools.append((want - offset, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (b, m), (a, n) = pools.pop(), pools.pop()
            pools.append(((a * n + b * m) / (n + m), n + m))
    slack = [min(max(value, 0.0), max(room, 0.0)) for value, count in pools for _ in range(count)]
    return [shift + offset for shift, offset in zip(slack, offsets, strict=True)]
