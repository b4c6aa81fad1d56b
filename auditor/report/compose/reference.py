"""Back matter: class sets, waivers, regulation, provenance, glossary, the spec with its line numbers, the signature."""

from __future__ import annotations

import datetime as dt
from typing import Any

from auditor.report import words
from auditor.report.compose.context import Context, mark
from auditor.report.frameworks import framework_views
from auditor.report.glossary import terms
from auditor.report.view import Cell, Fact, Heading, Reference, SetView, Sheet, Signature, SpecFile, SpecLine

REFUSALS = (
    "Do not release. Return to training.",
    "Do not release. Repeat the audit with other data or another spec.",
    "Release under the waivers listed on an attached sheet, each with reason, owner and expiry.",
)
RELEASES = (
    "Release.",
    "Release with conditions, listed on an attached sheet.",
    "Do not release, for reasons on an attached sheet.",
)


def reference(context: Context) -> Reference:
    results = context.results
    names = [str(name) for name in results.scope.report.get("frameworks") or ()]
    types = {finding.type for finding in results.findings}
    return Reference(
        sets=_sets(context),
        waivers=_waivers(context),
        waiver_note=_waiver_note(context),
        frameworks=framework_views(names, results.findings, context.anchors),
        hashes=_hashes(context),
        environment=_environment(results.run.environment),
        run=_run(context),
        commands=tuple((title, text) for title, text in _commands(context) if text),
        glossary=terms(types, sets=bool(results.scope.sets), baseline=results.baseline is not None),
        specs=_specs(context),
    )


def signature(context: Context) -> Signature:
    results = context.results
    choices = REFUSALS if results.verdict.status != "passed" else RELEASES
    reviewers = [str(name) for name in results.scope.report.get("reviewers") or ()]
    signers = [(f"Reviewer{'' if len(reviewers) < 2 else f' {k}'}", name) for k, name in enumerate(reviewers, 1)]
    signers = signers or [("Reviewer", "")]
    if len(signers) == 1:
        tier = results.scope.risk_tier
        signers.append((f"Second reviewer, risk tier {tier}" if tier else "Second reviewer", ""))
    asks = ""
    if "eu-ai-act" in (results.scope.report.get("frameworks") or ()):
        asks = "Annex IV of the EU AI Act asks for test reports “dated and signed by the responsible persons”."
    return Signature(
        verdict=results.verdict.status,
        model=words.tiny_hash(results.model.sha256),
        results=words.tiny_hash(context.folder.sha256("results.json")),
        choices=choices,
        signers=tuple(signers),
        asks=asks,
    )


def _sets(context: Context) -> tuple[SetView, ...]:
    """Each collection, and the checks that name it."""
    scope = context.results.scope
    views = []
    for name, groups in scope.sets.items():
        users = scope.set_users.get(name, ())
        use = f"used by {words.listed(users)}" if users else "declared; no check names it"
        views.append(SetView(name, use, tuple(" + ".join(group) for group in groups)))
    return tuple(views)


def _extent(lines: list[str], first: int | None) -> range:
    """Line numbers (1-based) from a key's line to the last one that is indented deeper."""
    if first is None or not 1 <= first <= len(lines):
        return range(0)
    indent = len(lines[first - 1]) - len(lines[first - 1].lstrip())
    last = first
    for k in range(first + 1, len(lines) + 1):
        text = lines[k - 1]
        if text.strip() and len(text) - len(text.lstrip()) <= indent:
            break
        if text.strip():
            last = k
    return range(first, last + 1)


def _specs(context: Context) -> tuple[SpecFile, ...]:
    """The main file, then those it includes, without empty ones."""
    spec = context.results.spec
    files = [(spec.path, None, spec.text), *((path, path, text) for path, text in spec.texts.items())]
    return tuple(SpecFile(path, _spec_lines(context, file, text)) for path, file, text in files if text)


def _spec_lines(context: Context, file: str | None, text: str) -> tuple[SpecLine, ...]:
    lines = text.splitlines()
    marked = {
        k
        for finding in context.results.findings
        if finding.check in context.blocking and finding.file == file
        for k in _extent(lines, finding.line)
    }
    made = []
    for number, line in enumerate(lines, 1):
        code, comment = _split_comment(line.expandtabs(2))
        made.append(SpecLine(number, code, comment, number in marked))
    return tuple(made)


def _split_comment(line: str) -> tuple[str, str]:
    """The line's code and its comment; a # inside quotes is neither."""
    quote = ""
    for k, char in enumerate(line):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'" and (k == 0 or line[k - 1] in " {[,:"):
            quote = char
        elif char == "#" and (k == 0 or line[k - 1] == " "):
            return line[:k], line[k:]
    return line, ""


def _waivers(context: Context) -> Sheet | None:
    declared = context.results.scope.waivers
    if not declared:
        return None
    findings = {finding.check: finding for finding in context.results.findings}
    rows = []
    for waiver in declared:
        check = str(waiver.get("check", ""))
        finding = findings.get(check)
        live = finding is not None and finding.waived is not None
        if finding is None:
            state = Cell("no check of that name")
        else:
            state = Cell(finding.status.value, "text", mark(finding)) if live else Cell("not in effect")
        expires = str(waiver.get("expires", words.DASH))
        rows.append(
            (
                Cell(check, "name"), state, Cell(str(waiver.get("reason", ""))), Cell(str(waiver.get("owner", ""))),
                Cell(words.date(str(waiver.get("granted", words.DASH)))),
                Cell(f"{words.date(expires)}{_days_left(expires, context.results.scope.as_of)}"),
            )
        )  # fmt: skip
    columns = tuple(Heading(text) for text in ("Check", "Waives", "Reason", "Owner", "Granted", "Expires"))
    return Sheet("", columns, tuple(rows))


def _days_left(expires: str, as_of: str) -> str:
    try:
        days = (dt.date.fromisoformat(expires[:10]) - dt.date.fromisoformat(as_of[:10])).days
    except ValueError:
        return ""
    return f", {days} days left" if days > 0 else ", the last day" if days == 0 else ", expired"


def _waiver_note(context: Context) -> str:
    as_of = context.results.scope.as_of
    judged = f" Judged as of {words.date(as_of)}." if as_of else ""
    return (
        f"A waiver covers one check until its day of expiry; the status stays in view. An error "
        f"cannot be waived.{judged}"
    )


def _hashes(context: Context) -> Sheet:
    results = context.results
    items = [("Spec", results.spec.path, results.spec.sha256), ("Model", results.model.path, results.model.sha256)]
    items += [(f"Data, {name}", record.path, record.sha256) for name, record in results.data.items()]
    items.append(("Results", "results.json", context.folder.sha256("results.json")))
    rows = tuple(
        (Cell(item, "name"), Cell(path, "code"), Cell(digest or words.DASH, "code")) for item, path, digest in items
    )
    return Sheet("What went in, what came out", (Heading("Item"), Heading("Path"), Heading("sha256")), rows)


def _environment(environment: dict[str, Any]) -> tuple[Fact, ...]:
    return tuple(
        Fact(str(key).replace("_", " "), (words.plainly(value) if value is not None else words.DASH,))
        for key, value in environment.items()
    )


def _run(context: Context) -> tuple[Fact, ...]:
    results, run = context.results, context.results.run
    cached = sum(task.cached for task in run.tasks)
    took = f"{words.duration(run.seconds)}, {words.count(len(run.tasks), 'task')}, {words.counted(cached)} cached"
    facts = [
        Fact("started", (words.moment(run.started) or words.DASH,)),
        Fact("took", (took,)),
        Fact("device", (run.device or words.DASH,)),
        Fact("seed", (str(results.scope.seed),)),
    ]
    if results.scope.selection:
        facts.append(Fact("selection", (results.scope.selection,)))
    if results.baseline is not None:
        facts.append(Fact("baseline", (f"{results.baseline.path}, {words.date(results.baseline.started)}",)))
    facts.append(Fact("gate", (f"exit code {results.verdict.exit_code}",)))
    facts += [Fact("note", (note,)) for note in run.notes]
    return tuple(facts)


def _commands(context: Context) -> tuple[tuple[str, str], ...]:
    return (("Run it again", context.results.run.command),)
