"""Whether the parts of a spec agree: demands with each other, filters with their source, the report with our tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.resources import resource
from auditor.spec.check import Check
from auditor.spec.composing import Problems
from auditor.spec.problem import suggestion
from auditor.spec.regions import misfit
from auditor.spec.sections import ReportSection, SourceSection
from auditor.spec.tree import Node, place


def contradictions(checks: Mapping[str, Check], node: Node, problems: Problems) -> None:
    """Two demands on the same rows that no model can meet (thesis def. 2.2). `node` is the map of checks."""
    demands: dict[str, list[tuple[str, Any]]] = {}
    for name, check in checks.items():
        demand = check.exclusive()
        if demand is None:
            continue
        for other, earlier in demands.setdefault(demand.of, []):
            apart = demand.low > earlier.high or earlier.low > demand.high
            if apart and demand.share + earlier.share > 1:
                what = f"{name} and {other} exclude each other: no model satisfies both"
                problems.add(node.keys[name], "contradiction", what, "drop one, or move a bound")
                break
        demands[demand.of].append((name, demand))


def known_attributes(check: Check, body: Node, data: Mapping[str, SourceSection], problems: Problems) -> None:
    """Rows can be filtered by the attributes that their source declares. `body` is the check as read."""
    if check.where is None or check.over is None or check.over.data not in data:
        return
    declared = data[check.over.data].attributes
    for name in check.where.attributes:
        if name not in declared:
            mark, _ = place(body, ("where", "attributes", name), of_key=True)
            what = f"the source {check.over.data} declares no attribute {name!r}"
            remedy = suggestion(name, declared) if declared else "list it under `attributes` of the source"
            problems.add(mark, "unknown-attribute", what, remedy)


def regions_within(check: Check, body: Node, shape: tuple[int, ...], problems: Problems) -> None:
    """What a check says of regions of the input speaks of inputs of `shape`. `body` is the check as read."""
    for path, region in check.regions():
        why = misfit(region, shape)
        if why is not None:
            mark, _ = place(body, path)
            problems.add(mark, "bad-region", why, "state a region within `model.input.shape`, and not all of it")


def known_frameworks(report: ReportSection, root: Node, problems: Problems) -> None:
    """The report can show the tables that are shipped in specs/frameworks."""
    if not report.frameworks:
        return
    shipped = sorted(path.stem for path in resource("specs", "frameworks").glob("*.yaml"))
    for number, name in enumerate(report.frameworks):
        if name not in shipped:
            mark, _ = place(root, ("report", "frameworks", number))
            problems.add(mark, "unknown-framework", f"no framework is named {name!r}", suggestion(name, shipped))
