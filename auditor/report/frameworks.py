"""Regulation: dated tables from check types to the clauses they support evidence for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from auditor.records import Finding, Status
from auditor.records.base import Record
from auditor.report.view import FrameworkView
from auditor.resources import resource

MOST_NAMED = 6
"""Checks named for one clause; where every check counts and they are more, their number a status says as much."""


class Clause(Record):
    """One clause; `types` (`bias.amplification`) or families (`bias`) of checks support evidence for it."""

    clause: str
    subject: str
    types: tuple[str, ...] = ()


class Framework(Record):
    """A table as written in specs/frameworks."""

    framework: str
    title: str
    version: int
    dated: str
    column: str = "Clause"
    note: str = ""
    clauses: tuple[Clause, ...]


def load_framework(name: str) -> Framework:
    """The shipped table of that name. Raises FileNotFoundError."""
    import yaml

    written: Any = yaml.safe_load(resource("specs", "frameworks", f"{name}.yaml").read_text("utf-8"))
    written["dated"] = str(written["dated"])
    return Framework.model_validate(written)


def framework_views(
    names: Sequence[str], findings: Sequence[Finding], anchors: dict[str, str]
) -> tuple[FrameworkView, ...]:
    """The tables that the spec names; a name without a table is said to have none."""
    views = []
    for name in names:
        if not name.replace("-", "").replace("_", "").isalnum():
            continue
        try:
            table = load_framework(name)
        except FileNotFoundError:
            views.append(FrameworkView(name, "", "This version ships no table of that name.", "Clause", ()))
            continue
        rows = tuple(
            (clause.clause, clause.subject, _supporting(clause, findings, anchors)) for clause in table.clauses
        )
        dated = f"table {table.version} of {table.dated}"
        views.append(FrameworkView(table.title, dated, " ".join(table.note.split()), table.column, rows))
    return tuple(views)


def _supporting(
    clause: Clause, findings: Sequence[Finding], anchors: dict[str, str]
) -> tuple[tuple[str, str, str], ...]:
    """The checks that ran and speak to the clause; a check without a finding supports nothing."""
    ran = [f for f in findings if f.value is not None or f.status in (Status.PASS, Status.FAIL)]
    chosen = [f for f in ran if f.type in clause.types or f.type.partition(".")[0] in clause.types]
    if len(chosen) > MOST_NAMED and len(chosen) == len(ran):
        counts = Counter("waived" if finding.waived else finding.status.value for finding in ran)
        return tuple((mark, "decision", f"{n} {mark}") for mark, n in counts.items())
    return tuple(("waived" if f.waived else f.status.value, anchors[f.check], f.check) for f in chosen)
