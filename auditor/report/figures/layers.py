"""Layout of a directed graph from left to right: layers by longest path, order within a layer by the median of neighbours."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

Edge = tuple[str, str]


def reduced(nodes: Sequence[str], edges: Collection[Edge]) -> list[Edge]:
    """The edges that no longer path makes superfluous (transitive reduction of an acyclic graph), in a fixed order."""
    after: dict[str, set[str]] = {node: set() for node in nodes}
    for source, target in edges:
        after[source].add(target)
    reach: dict[str, set[str]] = {}
    for node in reversed(ordered(nodes, edges)):
        reach[node] = after[node].union(*(reach[other] for other in after[node])) if after[node] else set()
    place = {node: k for k, node in enumerate(nodes)}
    kept = [
        (source, target)
        for source in nodes
        for target in after[source]
        if not any(target in reach[other] for other in after[source] if other != target)
    ]
    return sorted(kept, key=lambda edge: (place[edge[0]], place[edge[1]]))


def ordered(nodes: Sequence[str], edges: Collection[Edge]) -> list[str]:
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


def layers(nodes: Sequence[str], edges: Collection[Edge], *, last: Collection[str] = ()) -> list[list[str]]:
    """Columns of nodes, each right of all it needs; those in `last` share a column of their own at the end.

    A node is drawn as far right as its consumers let it, so that edges are short.
    """
    order = ordered(nodes, edges)
    depth = dict.fromkeys(nodes, 0)
    for node in order:
        for source, target in edges:
            if source == node:
                depth[target] = max(depth[target], depth[node] + 1)
    inner = [node for node in nodes if node not in last]
    deepest = max((depth[node] for node in inner), default=0)
    for node in last:
        depth[node] = deepest + 1
    targets: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in edges:
        targets[source].append(target)
    has_inputs = {target for _, target in edges}
    for node in reversed(order):
        if node not in last and node in has_inputs and targets[node]:
            depth[node] = max(depth[node], min(depth[target] for target in targets[node]) - 1)
    columns: list[list[str]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for node in nodes:
        columns[depth[node]].append(node)
    return _untangled([column for column in columns if column], edges, keep=set(last))


def _untangled(columns: list[list[str]], edges: Collection[Edge], *, keep: Collection[str]) -> list[list[str]]:
    """Sweeps back and forth, sorting each column by the mean place of its neighbours; columns of `keep` stay in order."""
    near: dict[str, list[str]] = {}
    for source, target in edges:
        near.setdefault(source, []).append(target)
        near.setdefault(target, []).append(source)
    for sweep in range(8):
        places = _places(columns)
        sequence = range(len(columns)) if sweep % 2 else range(len(columns) - 1, -1, -1)
        for k in sequence:
            if set(columns[k]) & set(keep):
                continue
            pull = {node: _mean([places[other] for other in near.get(node, [])], places[node]) for node in columns[k]}
            columns[k] = sorted(columns[k], key=lambda node: pull[node])
            places.update(_places([columns[k]]))
    return columns


def _places(columns: Sequence[Sequence[str]]) -> dict[str, float]:
    return {node: (k + 0.5) / len(column) for column in columns for k, node in enumerate(column)}


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def heights(
    columns: Sequence[Sequence[str]], edges: Collection[Edge], pitch: Mapping[int, float], total: float
) -> dict[str, float]:
    """The middle of every node: near its neighbours, at least the column's pitch apart, inside [0, total]."""
    at = {node: (k + 0.5) * total / len(column) for column in columns for k, node in enumerate(column)}
    near: dict[str, list[str]] = {}
    for source, target in edges:
        near.setdefault(source, []).append(target)
        near.setdefault(target, []).append(source)
    for _ in range(6):
        for k in range(len(columns) - 2, -1, -1):
            column = columns[k]
            wish = [_mean([at[other] for other in near.get(node, [])], at[node]) for node in column]
            at.update(zip(column, _spread(wish, pitch.get(k, 30.0), total), strict=True))
    return at


def _spread(wish: Sequence[float], pitch: float, total: float) -> list[float]:
    """Places as near to `wish` as keeps them in order, `pitch` apart and inside [0, total]."""
    pitch = min(pitch, total / max(len(wish), 1))
    placed: list[float] = []
    for k, y in enumerate(wish):
        lowest = placed[-1] + pitch if placed else pitch / 2
        highest = total - pitch * (len(wish) - k - 0.5)
        placed.append(min(max(y, lowest), highest))
    return placed
