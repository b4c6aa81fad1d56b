"""What the report speaks about, and what ran to decide it."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.records import EvidenceKind, Status, TaskRecord
from auditor.report import words
from auditor.report.compose.context import Context
from auditor.report.figures.tasks import draw_tasks, task_name
from auditor.report.view import Cell, Fact, Heading, Picture, Ran, ScopeView, Sheet

TIMES = 6


def scope(context: Context) -> ScopeView:
    results = context.results
    tier = f" Risk tier: {results.scope.risk_tier}." if results.scope.risk_tier else ""
    return ScopeView(
        purpose=(words.sentence(results.scope.purpose) or "The spec states none.") + tier,
        decides=_decides(context),
        model=_model(context),
        data=_data(context),
        classes=_classes(context),
        limits=_limits(context),
    )


def _decides(context: Context) -> str:
    gate = context.results.scope.gate
    block_on = [str(status) for status in gate.get("block_on", ())]
    text = f"The gate blocks on {words.listed(block_on)}" if block_on else "The gate blocks on nothing"
    tolerance = gate.get("regression")
    if tolerance is not None:
        text += f", and on a regression beyond {words.exact(tolerance)}"
    return f"{text}. A person signs; the program does not."


def _model(context: Context) -> tuple[Fact, ...]:
    model, scope = context.results.model, context.results.scope
    facts = [Fact("Weights", (f"{model.path}, {model.parameters:,} parameters",))]
    if model.architecture:
        facts.append(Fact("Architecture", (), model.architecture))
    if model.input_shape:
        shape = " × ".join(str(side) for side in model.input_shape)
        ends = f", range {words.interval([_short(end) for end in model.input_range])}" if model.input_range else ""
        facts.append(Fact("Input", (f"{shape}{ends}; every radius and region is in these units",)))
    if scope.classes:
        named = (
            words.listed(scope.classes) if len(scope.classes) <= 12 else f"{words.listed(scope.classes[:10], ',')} …"
        )
        facts.append(Fact("Classes", (f"{len(scope.classes)}: {named}",)))
    if scope.training:
        facts.append(
            Fact(
                "Training declared",
                tuple(f"{k}: {words.plainly(v)}" for k, v in scope.training.items() if v not in (None, {}, [])),
            )
        )
    return tuple(facts)


def _short(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _data(context: Context) -> Sheet | None:
    if not context.results.data:
        return None
    rows = tuple(
        (
            Cell(name, "name"),
            Cell(record.path, "code"),
            Cell(f"{record.rows:,}"),
            Cell(f"{record.used:,}" if record.used is not None else words.DASH),
            Cell(record.role or words.DASH),
        )
        for name, record in context.results.data.items()
    )
    columns = (
        Heading("Source"),
        Heading("Path"),
        Heading("Rows", True),
        Heading("Used", True),
        Heading("Role in this audit"),
    )
    return Sheet("Data", columns, rows)


def _classes(context: Context) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    return tuple(
        (name, tuple((label, f"{count:,}") for label, count in record.per_class.items()))
        for name, record in context.results.data.items()
        if record.per_class and any(record.per_class.values())
    )


def _limits(context: Context) -> tuple[str, ...]:
    """What no check of this run can show, by the kinds of evidence in it."""
    results = context.results
    done = [f for f in results.findings if f.status in (Status.PASS, Status.FAIL, Status.INCONCLUSIVE)]
    kinds = {finding.evidence_kind for finding in done}
    limits = []
    if results.scope.selection:
        limits.append(f"Only what the selection {results.scope.selection} names was run.")
    if EvidenceKind.MEASURED in kinds or any(f.confidence is not None for f in done):
        limits.append(
            "Intervals speak of data like the rows audited. Nothing here speaks of data from elsewhere or of later."
        )
    if EvidenceKind.CERTIFIED in kinds:
        limits.append(
            "A certificate bounds the perturbations that it names, in its norm and up to its radius, and no others."
        )
    if EvidenceKind.ATTACKED in kinds:
        limits.append("An attack bounds harm from below. That none was found does not mean that there is none.")
    limits.append("Class names are the spec’s. Whether they mean what a reader takes them to mean is not tested.")
    return tuple(limits)


def ran(context: Context) -> Ran:
    run, findings = context.results.run, context.results.findings
    tasks = run.tasks
    if not tasks:
        return Ran("The results do not record which tasks ran.", None, (), None, "")
    answered = sum(1 for finding in findings if any(finding.check in task.checks for task in tasks))
    cached = sum(task.cached for task in tasks)
    lead = f"{words.count(len(tasks), 'task').capitalize()} answered {words.count(answered, 'check')}."
    if cached:
        lead += (
            f" {words.counted(cached).capitalize()} came from the cache."
            if cached < len(tasks)
            else " All came from the cache."
        )
    drawn = [check for check in context.blocking if any(check in task.checks for task in tasks)]
    if drawn:
        lead += (
            f" Dark lines lead to {'the one' if len(drawn) == 1 else f'the {words.counted(len(drawn))}'} "
            f"that block{'s' if len(drawn) == 1 else ''}."
        )
    title = f"The task graph from left to right: {_spoken(tasks)}; then the checks they decide."
    graph = draw_tasks(tasks, findings, drawn, id="task-graph", title=title)
    picture = None
    if graph is not None:
        canvas, left_out = graph
        detail = "Each box is a piece of work, done once and shared."
        if cached:
            detail += " A dashed box came from the cache."
        if left_out:
            detail += (
                f" {words.count(left_out, 'small step').capitalize()} {'is' if left_out == 1 else 'are'} not drawn."
            )
        picture = Picture("plot", "task-graph", "The task graph.", detail, context.gallery.number(), True, canvas.svg())
    shares, times = _times(tasks)
    halved = sum(task.halvings for task in tasks)
    note = (
        (
            f"Batches were halved {words.counted(halved)} time{'s' if halved != 1 else ''} for lack "
            f"of memory; equal up to rounding."
        )
        if halved
        else ""
    )
    return Ran(lead, picture, shares, times, note)


def _spoken(tasks: Sequence[TaskRecord]) -> str:
    names = list(dict.fromkeys(task_name(task.op) for task in tasks))
    return ", ".join(names[:20]) + (" and others" if len(names) > 20 else "")


def _times(tasks: Sequence[TaskRecord]) -> tuple[tuple[tuple[float, int], ...], Sheet | None]:
    """Seconds by op, the longest first, as a table and as shares of a bar (percent, and which of three tones)."""
    total = sum(task.seconds for task in tasks if not task.cached)
    if total <= 0:
        return (), None
    by_op: dict[str, list[TaskRecord]] = {}
    for task in tasks:
        if not task.cached:
            by_op.setdefault(task_name(task.op), []).append(task)
    spent = sorted(
        ((sum(t.seconds for t in group), name, group) for name, group in by_op.items()), key=lambda x: (-x[0], x[1])
    )
    shown, rest = spent[:TIMES], spent[TIMES:]
    rows, shares = [], []
    for place, (seconds, name, group) in enumerate(shown):
        serves = tuple(dict.fromkeys(check for task in group for check in task.checks))
        label = name if len(group) == 1 else f"{name} ×{len(group)}"
        rows.append(
            (Cell(label, "name"), Cell(_seconds(seconds)), Cell(words.percent(seconds / total)), Cell(_serving(serves)))
        )
        shares.append((100 * seconds / total, min(place, 2)))
    if rest:
        left = sum(seconds for seconds, _, _ in rest)
        rows.append((Cell("all other work", "name"), Cell(_seconds(left)), Cell(words.percent(left / total)), Cell("")))
        shares.append((100 * left / total, 2))
    rows.append((Cell("Total", "name"), Cell(_seconds(total), "name"), Cell(""), Cell("")))
    columns = (Heading("Task"), Heading("Seconds", True), Heading("Share", True), Heading("Serves"))
    return tuple(shares), Sheet("", columns, tuple(rows))


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _serving(checks: Sequence[str]) -> str:
    return words.listed(checks) if len(checks) <= 3 else f"{', '.join(checks[:2])} and {len(checks) - 2} more"
