"""The graph of a plan as text: mermaid, dot, JSON and SVG, read from left to right."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from auditor.errors import UsageError
from auditor.plan.plan import Plan
from auditor.plan.task import Task

Kind = Literal["leaf", "task", "judgement"]
FORMATS = ("mermaid", "dot", "svg", "json")
SHOWN = 3
"""Parameters in a node's second line."""
WIDTH = 34
"""Characters in a node's line."""


@dataclass(frozen=True)
class Drawn:
    """A node: what it is called, what sets it apart, whether its result exists. `checks` need it."""

    digest: str
    label: str
    detail: str
    kind: Kind
    cached: bool
    checks: tuple[str, ...]
    inputs: tuple[str, ...]


def draw(plan: Plan, format: str, *, cached: Callable[[str], bool] = lambda digest: False) -> str:
    """The graph in `format`. `cached` says which results exist; those nodes look done. Raises UsageError."""
    nodes = {node.digest: node for node in drawn(plan, cached)}
    match format:
        case "mermaid":
            return _mermaid(nodes)
        case "dot":
            return _dot(nodes)
        case "json":
            return _json(nodes)
        case "svg":
            from auditor.plan.layered import svg

            return svg(nodes)
    raise UsageError(f"graph format {format!r} is not known", remedy=f"use one of {', '.join(FORMATS)}")


def drawn(plan: Plan, cached: Callable[[str], bool] = lambda digest: False) -> list[Drawn]:
    """The nodes in the order of the plan; a judgement is called by the checks it decides."""
    judged: dict[str, list[str]] = {}
    for check, ref in plan.judgements.items():
        judged.setdefault(ref.digest, []).append(check)
    return [_node(task, plan, judged.get(digest), cached(digest)) for digest, task in plan.tasks.items()]


def _node(task: Task, plan: Plan, judged: list[str] | None, cached: bool) -> Drawn:
    kind: Kind = "judgement" if judged else "leaf" if not task.inputs else "task"
    label = ", ".join(judged) if judged else task.op.label
    detail = task.op.label if judged else details(task)
    return Drawn(
        digest=task.digest,
        label=shorten(label),
        detail=shorten(detail),
        kind=kind,
        cached=cached,
        checks=plan.checks_of[task.digest],
        inputs=task.inputs,
    )


def details(task: Task) -> str:
    """The first few parameters that are plain values other than the default: what tells two calls of an op apart."""
    defaults = inspect.signature(task.op.function).parameters
    plain = [
        f"{name} {_plain(value)}"
        for name, value in task.parameters.items()
        if name != "batch_size" and value is not None and value != defaults[name].default and _plain(value)
    ]
    return ", ".join(plain[:SHOWN])


def shorten(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def _plain(value: Any) -> str:
    if isinstance(value, (str, bool, int)):
        return str(value)
    if isinstance(value, float):
        return f"{value:g}"
    tag = getattr(value, "tag", None)
    if isinstance(tag, str):
        return tag
    path = getattr(value, "file", None) or getattr(value, "path", None)
    return str(path).replace("\\", "/").rpartition("/")[2] if path else ""


def _names(nodes: Mapping[str, Drawn]) -> dict[str, str]:
    return {digest: f"n{number}" for number, digest in enumerate(nodes)}


def _mermaid(nodes: Mapping[str, Drawn]) -> str:
    names = _names(nodes)
    lines = ["flowchart LR"]
    for digest, node in nodes.items():
        text = "<br/>".join(_entities(part) for part in (node.label, node.detail) if part)
        left, right = {"leaf": ("[(", ")]"), "task": ("[", "]"), "judgement": ("([", "])")}[node.kind]
        lines.append(f'  {names[digest]}{left}"{text}"{right}' + (":::cached" if node.cached else ""))
    lines += [f"  {names[source]} --> {names[node.digest]}" for node in nodes.values() for source in node.inputs]
    if any(node.cached for node in nodes.values()):
        lines.append("  classDef cached stroke-dasharray: 4 3")
    return "\n".join(lines) + "\n"


def _entities(text: str) -> str:
    return "".join(f"#{ord(char)};" if char in '"<>&#' else char for char in text)


def _dot(nodes: Mapping[str, Drawn]) -> str:
    names = _names(nodes)
    lines = ["digraph audit {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif", fontsize=10];']
    for digest, node in nodes.items():
        text = "\\n".join(_quoted(part) for part in (node.label, node.detail) if part)
        shape = {"leaf": "cylinder", "task": "box", "judgement": "oval"}[node.kind]
        style = ", style=dashed" if node.cached else ""
        lines.append(f'  {names[digest]} [label="{text}", shape={shape}{style}];')
    lines += [f"  {names[source]} -> {names[node.digest]};" for node in nodes.values() for source in node.inputs]
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _json(nodes: Mapping[str, Drawn]) -> str:
    return json.dumps({"nodes": [dataclasses.asdict(node) for node in nodes.values()]}, indent=1) + "\n"
