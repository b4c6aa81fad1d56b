"""From checks to a plan: each selected check adds its tasks, or says why it cannot be planned."""

from __future__ import annotations

from collections.abc import Mapping

from auditor.plan.builder import Builder, CommonOps
from auditor.plan.machine import Environment
from auditor.plan.plan import Missing, Plan, Undecided, lineage
from auditor.plan.selection import choose
from auditor.plan.subject import Subject
from auditor.records import Judgement, Results
from auditor.spec.builder import Ref
from auditor.spec.check import Check


def plan_checks(
    checks: Mapping[str, Check],
    subject: Subject,
    *,
    common: CommonOps,
    environment: Environment,
    select: str | None = None,
    exclude: str | None = None,
    baseline: Results | None = None,
) -> Plan:
    """Plans the selected checks. Nothing is loaded or run.

    Raises UsageError where the selection leaves nothing. Checks that are not available yet, or that their rows cannot
    decide, are listed in the plan and have no tasks; `auditor plan` ends with exit 2 for either.
    """
    build = Builder(subject, common=common, environment=environment)
    unavailable: dict[str, Missing] = {}
    undecidable: dict[str, Undecided] = {}
    judgements: dict[str, Ref[Judgement]] = {}
    for name, check in checks.items():
        if reasons := check.unavailable():
            unavailable[name] = Missing(name, tuple(reasons))
        elif undecided := _undecided(check, build):
            undecidable[name] = undecided
        else:
            judgements[name] = check.plan(build)
    digests = {name: ref.digest for name, ref in judgements.items()}
    chosen = set(choose(checks, select, exclude, baseline=baseline, digests=digests))
    kept = {name: ref for name, ref in judgements.items() if name in chosen}
    needed = lineage(build.tasks, (ref.digest for ref in kept.values()))
    return Plan(
        tasks={digest: task for digest, task in build.tasks.items() if digest in needed},
        judgements=kept,
        environment=environment,
        undecidable=tuple(item for name, item in undecidable.items() if name in chosen),
        unavailable=tuple(item for name, item in unavailable.items() if name in chosen),
        left_out=tuple(name for name in checks if name not in chosen),
        selection=_selection(select, exclude),
    )


def _undecided(check: Check, build: Builder) -> Undecided | None:
    rows = None if check.over is None else build.count(check.over, check.where)
    needed = None if rows is None else check.rows_needed(rows)
    return None if rows is None or needed is None else Undecided(check.name, rows, needed)


def _selection(select: str | None, exclude: str | None) -> str | None:
    parts = ([f"--select {select}"] if select else []) + ([f"--exclude {exclude}"] if exclude else [])
    return " ".join(parts) or None
