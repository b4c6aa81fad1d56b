"""`auditor plan`: what an audit would do, before it does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor.cli import options
from auditor.cli.lazy import CONTEXT
from auditor.cli.terminal import bold, dim, fit, mark, say, seconds, size, width

if TYPE_CHECKING:
    from auditor.audit.prepare import Prepared
    from auditor.plan.estimate import Estimate


@click.command(context_settings=CONTEXT)
@click.argument("spec", type=options.SPEC)
@click.argument("model", type=options.SPEC)
@options.select
@options.exclude
@options.device
@options.seed
@options.baseline
@options.unsafe
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def plan(
    spec: Path,
    model: Path,
    select: str | None,
    exclude: str | None,
    device: str,
    seed: int | None,
    baseline: Path | None,
    allow_unsafe_load: bool,
    as_json: bool,
) -> int:
    """Show the tasks that `auditor check SPEC MODEL` would run: which are in the store, what the rest will cost.

    Runs nothing. Exit 2 if a check's rows cannot decide it, or if it asks for what this version cannot do.
    """
    from auditor.audit.prepare import prepare
    from auditor.plan.estimate import estimate
    from auditor.records import Results
    from auditor.run import Store

    prepared = prepare(
        spec,
        model,
        device=device,
        select=select,
        exclude=exclude,
        seed=seed,
        baseline=None if baseline is None else Results.read(baseline),
        allow_unsafe=allow_unsafe_load,
    )
    store = Store()
    cost = estimate(prepared.plan, prepared.subject, cached=store.has, timings=store.timings())
    if as_json:
        click.echo(json.dumps(as_data(prepared, cost), indent=1, ensure_ascii=False))
    else:
        for line in tree(prepared, cost):
            say(line)
        say()
        for line in summary(prepared, cost):
            say(line)
    return 2 if prepared.plan.undecidable or prepared.plan.unavailable else 0


def tree(prepared: Prepared, cost: Estimate) -> list[str]:
    """Per check its tasks, each below what needs it; a task that was shown already is named and not unfolded again."""
    costs = {item.digest: item for item in cost.tasks}
    seen: set[str] = set()
    shown: list[str] = []
    columns = width()

    def walk(digest: str, stem: str, last: bool) -> None:
        task, item = prepared.plan.tasks[digest], costs[digest]
        again = digest in seen and bool(task.inputs)
        seen.add(digest)
        if item.cached:
            note = "in store"
        elif not task.op.stored:
            note = "loaded"
        else:
            note = "–" if item.seconds is None else seconds(item.seconds)
        branch = "└─ " if last else "├─ "
        label = f"{stem}{branch}{task.op.label}{' (above)' if again else ''}"
        shown.append(f"{fit(label, columns - 24)} {dim(digest[:8])}  {dim(note.rjust(12))}")
        if not again:
            for position, below in enumerate(task.inputs):
                final = position == len(task.inputs) - 1
                walk(below, stem + ("   " if last else "│  "), final)

    powers = power(prepared)
    undecided = {item.check: item for item in prepared.plan.undecidable}
    missing = {item.check: item for item in prepared.plan.unavailable}
    for name, check in prepared.checks.items():
        if name in prepared.plan.left_out:
            continue
        shown.append(f"{bold(name)}  {dim(check.type)}")
        if name in powers:
            shown.append(f"   {dim(power_text(*powers[name]))}")
        if name in undecided:
            item = undecided[name]
            shown.append(
                f"   {mark('inconclusive')} {item.rows} rows cannot decide it; a pass takes at least {item.needed}"
            )
        elif name in missing:
            shown.append(f"   {mark('skipped')} not available yet: {', '.join(missing[name].reasons)}")
        else:
            walk(prepared.plan.judgements[name].digest, "   ", True)
    return shown


def power(prepared: Prepared) -> dict[str, tuple[int, int | None]]:
    """Per check its rows and the fewest with which it could pass; left out where only the model can tell how many.

    The second is None where no number of rows would be too few.
    """
    from auditor.checks.common.ops import COMMON
    from auditor.plan import Builder

    build = Builder(prepared.subject, common=COMMON, environment=prepared.plan.environment)
    known = {}
    for name, check in prepared.checks.items():
        if name in prepared.plan.left_out or check.over is None:
            continue
        rows = build.count(check.over, check.where)
        if rows is not None:
            known[name] = (rows, check.rows_needed(0))
    return known


def power_text(rows: int, needed: int | None) -> str:
    """ "597 rows, a pass takes at least 59"."""
    return f"{rows} rows" + ("" if needed is None else f", a pass takes at least {needed}")


def summary(prepared: Prepared, cost: Estimate) -> list[str]:
    """Counts, cost, and whether the rows can decide."""
    plan = prepared.plan
    stored = [digest for digest, task in plan.tasks.items() if task.op.stored]
    running = {item.digest for item in cost.tasks if not item.cached}
    todo = sum(digest in running for digest in stored)
    lines = [f"{len(stored)} tasks, {len(stored) - todo} in the store, {todo} to run"]
    if todo:
        if cost.seconds is None:
            lines.append("time: unknown, since nothing like it ran here before")
        else:
            unknown = cost.computed - cost.timed
            rest = f", {unknown} of the tasks not timed before" if unknown else ""
            lines.append(f"time: about {seconds(cost.seconds)}{rest}")
        if cost.memory is not None:
            lines.append(f"memory: at least {size(cost.memory)} for model and inputs")
    lines += [f"{mark('inconclusive')} {item}" for item in plan.undecidable]
    lines += [f"{mark('skipped')} {item}" for item in plan.unavailable]
    if not plan.undecidable and not plan.unavailable:
        lines.append(f"{mark('pass')} every selected check can be decided by its rows")
    return lines


def as_data(prepared: Prepared, cost: Estimate) -> dict[str, Any]:
    """The plan as JSON."""
    plan = prepared.plan
    costs = {item.digest: item for item in cost.tasks}
    return {
        "format": "auditor-plan/1",
        "spec": prepared.spec.as_posix(),
        "model": prepared.model.file.as_posix(),
        "device": ",".join(prepared.devices),
        "tasks": [
            {
                "digest": digest,
                "op": task.op.name,
                "version": task.op.version,
                "inputs": list(task.inputs),
                "checks": list(plan.checks_of[digest]),
                "rows": task.rows,
                "stored": task.op.stored,
                "cached": costs[digest].cached,
                "seconds": costs[digest].seconds,
            }
            for digest, task in plan.tasks.items()
        ],
        "checks": {name: ref.digest for name, ref in plan.judgements.items()},
        "power": {name: {"rows": rows, "needed": needed} for name, (rows, needed) in power(prepared).items()},
        "undecidable": [{"check": item.check, "rows": item.rows, "needed": item.needed} for item in plan.undecidable],
        "unavailable": [{"check": item.check, "reasons": list(item.reasons)} for item in plan.unavailable],
        "left_out": list(plan.left_out),
        "estimate": {
            "seconds": cost.seconds,
            "timed": cost.timed,
            "to_compute": cost.computed,
            "memory_bytes": cost.memory,
        },
    }
