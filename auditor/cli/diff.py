"""`auditor diff`: two runs side by side."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli import options
from auditor.cli.lazy import CONTEXT
from auditor.cli.terminal import bold, dim, fit, mark, say, width, word
from auditor.records import Baseline, Change, Results


@click.command(context_settings=CONTEXT)
@click.argument("run_a", type=options.RUN)
@click.argument("run_b", type=options.RUN)
@click.option("--fail-on-regression", is_flag=True, help="Exit 1 if a check got worse.")
def diff(run_a: Path, run_b: Path, fail_on_regression: bool) -> int:
    """Show what changed from RUN_A to RUN_B, check by check.

    A check got worse if its value moved in its bad direction by more than `gate.regression` of RUN_B's spec (0 if it
    has none), if it passed and does not any more, or if it is gone.
    """
    from auditor.gate.baseline import compare

    before, after = Results.read(run_a), Results.read(run_b)
    tolerance = after.scope.gate.get("regression")
    comparison = compare(
        after.findings, before, tolerance=0.0 if tolerance is None else tolerance, path=run_a.as_posix()
    )
    _same(before, after)
    for line in lines(comparison):
        say(line)
    regressed = [change for change in comparison.changes if worse(change)]
    say()
    count = len(comparison.changed)
    say(f"{bold(str(count))} of {len(comparison.changes)} checks changed, {bold(str(len(regressed)))} got worse")
    return 1 if fail_on_regression and regressed else 0


def worse(change: Change) -> bool:
    """Beyond the tolerance, or no longer a pass, or gone."""
    return change.regression or (change.status_before == "pass" and change.status_after != "pass")


def lines(comparison: Baseline) -> list[str]:
    """What changed, one line each: status before and after, value before and after, by how much it is worse."""
    changed = [change for change in comparison.changes if change.check in comparison.changed]
    name = min(max((len(change.check) for change in changed), default=0), width() - 50)
    return [_line(change, name) for change in changed]


def _line(change: Change, name: int) -> str:
    from auditor.gate.wording import distinguishing, number

    before, after = change.status_before or "absent", change.status_after or "gone"
    status = word(after) if before == after else f"{word(before)} → {word(after)}"
    length = len(after) if before == after else len(before) + 3 + len(after)
    digits = distinguishing(change.before, change.after)
    values = f"{number(change.before, digits)} → {number(change.after, digits)}"
    by = ""
    if change.worse:
        by = f"{number(abs(change.worse))} {'worse' if change.worse > 0 else 'better'}"
    symbol = mark("regression") if worse(change) else " "
    return f"{symbol} {fit(change.check, name)}  {status}{' ' * max(0, 20 - length)} {values}  {dim(by)}".rstrip()


def _same(before: Results, after: Results) -> None:
    for what, old, new in (
        ("model", before.model.sha256, after.model.sha256),
        ("spec", before.spec.sha256, after.spec.sha256),
    ):
        say(dim(f"{what.ljust(6)} {old[:12]} " + ("unchanged" if old == new else f"→ {new[:12]}")))
