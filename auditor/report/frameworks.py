"""Regulation: dated tables from check types to the clauses they support evidence for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.records import Finding
from auditor.records.base import Record
from auditor.report.view import FrameworkView
from auditor.resources import resource


class Clause(Record):
    """One clause; `types` are check types (`robustness.certified`) or families (`robustness`) that support evidence for it."""

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
    return tuple(
        ("waived" if finding.waived else finding.status.value, anchors[finding.check], finding.check)
        for finding in findings
        if finding.type in clause.types or finding.type.partition(".")[0] in clause.types
    )
