"""The cover and the decision page: may it go, why not, what would open the gate, everything else, what changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from auditor.errors import RenderError
from auditor.records import Change, Finding, Reason, Status, Tile
from auditor.report import words
from auditor.report.bar import demand, interval_bar
from auditor.report.compose.check import opens
from auditor.report.compose.context import Context, mark, measured
from auditor.report.figures.images import draw_tile
from auditor.report.view import Cover, Decision, Fact, ReasonView, Row, TileView

VERBS = {
    "fail": "fails",
    "inconclusive": "is not decided",
    "error": "could not finish",
    "skipped": "was not run",
    "regression": "has become worse",
}
PLURALS = {
    "fail": "fail",
    "inconclusive": "are not decided",
    "error": "could not finish",
    "skipped": "were not run",
    "regression": "have become worse",
}
INSTEAD = {
    Status.PASS: "passed without a number",
    Status.FAIL: "failed without a number",
    Status.INCONCLUSIVE: "not decided, nothing measured",
    Status.ERROR: "could not finish",
    Status.SKIPPED: "not run",
}
KINDS = ("certified", "probabilistic", "measured", "attacked")


def cover(context: Context) -> Cover:
    results = context.results
    passed = results.verdict.status == "passed"
    return Cover(
        title=results.spec.name,
        purpose=results.scope.purpose,
        samples=_samples(context),
        mark="pass" if passed else "fail",
        verdict="Passed" if passed else "Blocked",
        lead=tally(results.findings),
        facts=_cover_facts(context),
        label=next((note for note in results.run.notes if note.lower().startswith("sample data")), ""),
    )


def tally(findings: Sequence[Finding]) -> str:
    """How many checks ended how, in one or two sentences."""
    counts = Counter(mark(finding) for finding in findings)
    bad = [
        f"{words.counted(counts[key])} {text if counts[key] == 1 else many}"
        for key, text, many in (
            ("fail", "failed", "failed"),
            ("inconclusive", "could not be decided", "could not be decided"),
            ("error", "could not finish", "could not finish"),
            ("skipped", "was not run", "were not run"),
        )
        if counts[key]
    ]
    good = [f"{words.counted(counts['pass'])} passed"] if counts["pass"] else []
    waived = (
        [f"{words.counted(counts['waived'])} {'is' if counts['waived'] == 1 else 'are'} waived"]
        if counts["waived"]
        else []
    )
    if not bad:
        total = len(findings)
        if counts["pass"] == total:
            return f"{'The check' if total == 1 else f'All {words.counted(total)} checks'} passed."
        return words.sentence(f"{words.listed(good + waived)} of {words.count(total, 'check')}")
    first = words.sentence("of " + words.count(len(findings), "check") + ", " + words.listed(bad))
    rest = words.listed(good + waived)
    return f"{first} {words.sentence(rest)}".strip()


def decision(context: Context) -> Decision:
    results = context.results
    passed = results.verdict.status == "passed"
    used = {finding.evidence_kind.value for finding in results.findings if measured(finding)}
    kinds = tuple(kind for kind in KINDS if kind in used or kind != "probabilistic")
    changes = {change.check: change for change in results.baseline.changes} if results.baseline else {}
    return Decision(
        heading="Passed. A person signs before release." if passed else "Blocked. Do not release.",
        mark="pass" if passed else "fail",
        lead=_lead(context),
        reasons=_reasons(context),
        kinds=kinds,
        rows=tuple(_row(finding, kinds, changes.get(finding.check), context) for finding in results.findings),
        caption=f"{words.count(len(results.findings), 'check').capitalize()}, by the kind of evidence behind each",
        note=_note(context),
        warnings=tuple(words.sentence(text) for text in results.verdict.warnings),
        has_baseline=results.baseline is not None,
        baseline=_baseline(context),
    )


def _lead(context: Context) -> str:
    results = context.results
    total = len(results.findings)
    if results.verdict.status == "passed":
        if results.verdict.reasons or any(mark(finding) != "pass" for finding in results.findings):
            return (
                "Nothing that the spec lets block stands in the way. What did not pass is listed below "
                "and is not hidden by the verdict."
            )
        return (
            f"{'The one claim' if total == 1 else f'All {words.counted(total)} claims'} of the spec "
            f"{'holds' if total == 1 else 'hold'} on the evidence shown here."
        )
    if not context.blocking:
        return "The gate stays shut."
    stands = "stands" if len(context.blocking) == 1 else "stand"
    first = f"{words.counted(len(context.blocking)).capitalize()} of {words.count(total, 'check')} {stands} in the way"
    verbs: dict[str, list[str]] = {}
    for reason in sorted(results.verdict.reasons, key=lambda reason: reason.status == "regression"):
        verbs.setdefault(reason.check, []).append(reason.status)
    groups: dict[tuple[str, ...], list[str]] = {}
    for check, statuses in verbs.items():
        groups.setdefault(tuple(statuses), []).append(check)
    said = []
    for statuses, checks in groups.items():
        forms = VERBS if len(checks) == 1 else PLURALS
        named = words.listed(checks) if len(checks) <= 3 else words.count(len(checks), "check")
        said.append(f"{named} {words.listed([forms.get(status, status) for status in statuses])}")
    return f"{first}: {'; '.join(said)}."


def _reasons(context: Context) -> tuple[ReasonView, ...]:
    """One entry a check, whatever number of reasons it gives; its status first, then that it has become worse."""
    by_check: dict[str, list[Reason]] = {}
    for reason in context.results.verdict.reasons:
        by_check.setdefault(reason.check, []).append(reason)
    return tuple(_reason(check, reasons, context) for check, reasons in by_check.items())


def _reason(check: str, reasons: Sequence[Reason], context: Context) -> ReasonView:
    finding = next((f for f in context.results.findings if f.check == check), None)
    reasons = sorted(reasons, key=lambda reason: reason.status == "regression")
    title = f"{check} {words.listed([VERBS.get(reason.status, reason.status) for reason in reasons])}".strip()
    if finding is None:
        return ReasonView("error", "", title, " ".join(words.sentence(reason.text) for reason in reasons), "")
    texts = [_said(reason, finding) for reason in reasons]
    way = "" if reasons[0].status == "regression" else opens(finding.opens_when)
    return ReasonView(finding.status.value, context.anchors[check], title, " ".join(texts), way)


def _said(reason: Reason, finding: Finding) -> str:
    """The finding's own summary, with what the gate adds to it (an expired waiver); else the gate's words."""
    own = reason.status == finding.status.value and finding.status in (Status.FAIL, Status.INCONCLUSIVE)
    if not (own and finding.summary):
        return words.sentence(reason.text)
    _, _, more = reason.text.partition(". ")
    return f"{words.sentence(finding.summary)} {more}".strip()


def _row(finding: Finding, kinds: Sequence[str], change: Change | None, context: Context) -> Row:
    asked = demand(finding)
    value = (
        words.number(finding.value, apart_from=asked.limit if asked else None)
        if finding.value is not None
        else words.DASH
    )
    moved = None if change is None or change.before is None or change.after is None else change.after - change.before
    return Row(
        anchor=context.anchors[finding.check],
        name=finding.check,
        mark=mark(finding),
        waived=finding.waived is not None,
        kinds=tuple(value if finding.evidence_kind.value == kind else "" for kind in kinds),
        instead="" if measured(finding) else INSTEAD[finding.status],
        bar=interval_bar(finding),
        asked=asked.short if asked else words.DASH,
        change="new" if change is not None and change.status_before is None else words.change(moved),
        regressed=bool(change and change.regression),
        blocks=finding.check in context.blocking,
    )


def _note(context: Context) -> str:
    results = context.results
    parts = ["Hatched: where the check would not pass."]
    if results.baseline is not None:
        parts.append(f"Change: against the run of {words.date(results.baseline.started)}.")
        tolerance = results.scope.gate.get("regression")
        if tolerance is not None:
            parts[-1] = parts[-1][:-1] + f", tolerance {words.exact(tolerance)}."
        if any(change.regression for change in results.baseline.changes):
            parts.append("! marks a regression.")
    waived = [finding for finding in results.findings if finding.waived]
    parts += [
        f"{f.check} did not pass ({f.status.value}) and is waived to {words.date(f.waived.expires)}."
        for f in waived
        if f.waived
    ]
    return " ".join(parts)


def _baseline(context: Context) -> tuple[Fact, ...]:
    """What differs from the baseline, what blocks only now, what did already."""
    baseline = context.results.baseline
    if baseline is None:
        return ()
    changes = {change.check: change for change in baseline.changes}
    since = f"Changed since {words.date(baseline.started)}" if baseline.started else "Changed"
    facts = [Fact(since, (words.listed([*baseline.changed]) or "nothing the audit depends on",))]
    shut = {"fail", "inconclusive", "error"}
    newly = [c for c in context.blocking if c in changes and changes[c].status_before not in shut]
    still = [c for c in context.blocking if c in changes and changes[c].status_before in shut]
    opened = [c.check for c in baseline.changes if c.status_before in shut and c.status_after == "pass"]
    for term, checks in (
        ("Newly blocking", newly),
        ("Blocking before and now", still),
        ("Passes now, did not before", opened),
    ):
        if checks:
            facts.append(Fact(term, tuple(_moved(changes[check]) for check in checks)))
    if len(facts) == 1:
        facts.append(Fact("Newly blocking", ("nothing",)))
    gone = [change.check for change in baseline.changes if change.status_after is None]
    if gone:
        facts.append(Fact("No longer in the spec", (words.listed(gone),)))
    return tuple(facts)


def _moved(change: Change) -> str:
    text = change.check
    if change.before is not None and change.after is not None:
        text += f", from {words.number(change.before)} to {words.number(change.after)}"
    if change.status_before and change.status_after and change.status_before != change.status_after:
        text += f", {change.status_before} before, {change.status_after} now"
    return text


def _cover_facts(context: Context) -> tuple[Fact, ...]:
    results = context.results
    run, gate = results.run, results.scope.gate
    tier = f", risk tier {results.scope.risk_tier}" if results.scope.risk_tier else ""
    data = _audited(context)
    took = f", {words.duration(run.seconds)}" if run.seconds else ""
    block_on = gate.get("block_on")
    blocks = f"blocks on {', '.join(block_on)}" if block_on else results.verdict.status
    reviewers = [str(name) for name in results.scope.report.get("reviewers", ())]
    facts = [
        Fact(
            "Model",
            (f"{results.model.path}, {results.model.parameters:,} parameters",),
            f"sha256 {words.short_hash(results.model.sha256)}",
        ),
        Fact("Spec", (f"{results.spec.path}{tier}",), f"sha256 {words.short_hash(results.spec.sha256)}"),
    ]
    if data is not None:
        facts.append(data)
    facts += [
        Fact("Run", (f"{words.date(run.started) if run.started else 'no date recorded'}{took}",), context.run),
        Fact("Gate", (blocks, f"exit code {results.verdict.exit_code}")),
        Fact("Signature", ("not yet signed", *reviewers[:2])),
    ]
    return tuple(facts)


def _audited(context: Context) -> Fact | None:
    """The source that checks look at; where several are, the one of which most rows are used."""
    used = [(name, record) for name, record in context.results.data.items() if record.used or "look at" in record.role]
    if not used:
        used = list(context.results.data.items())
    if not used:
        return None
    first = [pair for pair in used if "look at" in pair[1].role] or used
    _, record = max(first, key=lambda pair: pair[1].used or 0)
    rows = (
        f"{record.used:,} of {record.rows:,} rows"
        if record.used not in (None, record.rows)
        else f"{record.rows:,} rows"
    )
    return Fact(
        "Data audited",
        (f"{record.path}, {rows}",),
        f"sha256 {words.short_hash(record.sha256)}" if record.sha256 else "",
    )


def _samples(context: Context) -> tuple[TileView, ...]:
    """One picture of each class, where the audit has kept some."""
    redact = set(context.results.scope.report.get("redact") or ())
    for record in context.results.data.values():
        tiles = []
        for name, path in list(record.samples.items())[:20]:
            file = context.folder.find(path)
            if file is None:
                continue
            tile = Tile(image=file.stem, title=name)
            try:
                drawn = draw_tile(tile, file.parent, id=f"sample-{len(tiles)}", redact="samples" in redact)
            except (OSError, RenderError):
                continue
            tiles.append(TileView(name, "", "neutral", tuple(part.svg() for part in drawn)))
        if tiles:
            return tuple(tiles)
    return ()
