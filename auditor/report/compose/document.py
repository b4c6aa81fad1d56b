"""The whole report from the results of a run."""

from __future__ import annotations

from auditor.records import Finding, Results, Status
from auditor.report import words
from auditor.report.compose.check import check_view
from auditor.report.compose.context import Context, mark
from auditor.report.compose.decision import cover, decision
from auditor.report.compose.reference import reference, signature
from auditor.report.compose.scope import ran, scope
from auditor.report.folder import RunFolder
from auditor.report.pictures import Gallery
from auditor.report.view import CheckView, Document, Entry, Reference


def compose(results: Results, folder: RunFolder) -> Document:
    """The report's view; draws every picture and writes the plots beside their data."""
    context = Context(results, folder, Gallery(folder, tuple(results.scope.report.get("redact") or ())))
    in_full = [finding for finding in results.findings if wants_room(finding, context)]
    in_brief = [finding for finding in results.findings if finding not in in_full]
    numbers = {"scope": "1", "ran": "2"}
    for name, present in (("full", in_full), ("brief", in_brief), ("reference", True)):
        if present:
            numbers[name] = str(len(numbers) + 1)
    head, what_ran = cover(context), ran(context)
    full = tuple(check_view(f, f"{numbers['full']}.{k}", context) for k, f in enumerate(in_full, 1))
    brief = tuple(check_view(f, f"{numbers['brief']}.{k}", context, brief=True) for k, f in enumerate(in_brief, 1))
    back = reference(context)
    return Document(
        name=results.spec.name,
        run=context.run,
        day=words.date(results.run.started) if results.run.started else "",
        created=results.run.started,
        version=str(results.run.environment.get("auditor", "")),
        language="en",
        cover=head,
        decision=decision(context),
        contents=_contents(numbers, full, brief, back),
        scope=scope(context),
        ran=what_ran,
        full=full,
        brief=brief,
        numbers=numbers,
        reference=back,
        signature=signature(context),
    )


def wants_room(finding: Finding, context: Context) -> bool:
    """Whether a check gets pages of its own: it stands in the way and has something to show, or shows much."""
    shown = [item for item in finding.evidence if item.kind != "note"]
    if finding.check in context.blocking:
        return bool(shown)
    wide = any(item.wide or item.kind == "dumbbell" for item in shown)
    return (
        len(shown) >= 2
        or wide
        or (bool(shown) and mark(finding) not in ("pass", "waived") and finding.status is not Status.SKIPPED)
    )


def _contents(
    numbers: dict[str, str], full: tuple[CheckView, ...], brief: tuple[CheckView, ...], back: Reference
) -> tuple[Entry, ...]:
    entries = [
        Entry("decision", "Decision", 1),
        Entry("scope", f"{numbers['scope']}\u2002Scope", 1),
        Entry("ran", f"{numbers['ran']}\u2002What ran", 1),
    ]
    for key, title, checks in (("full", "Checks in full", full), ("brief", "Checks in brief", brief)):
        if checks:
            entries.append(Entry(checks[0].anchor, f"{numbers[key]}\u2002{title}", 1))
            entries += [Entry(check.anchor, check.name, 2, check.mark) for check in checks]
    entries.append(Entry("reference", f"{numbers['reference']}\u2002Reference", 1))
    parts = {
        "sets": ("Class sets", back.sets),
        "waivers": ("Waivers", back.waivers),
        "regulation": ("Regulation", back.frameworks),
        "provenance": ("Provenance", True),
        "glossary": ("Glossary", True),
        "spec": ("The spec", back.specs),
    }
    for anchor, (title, present) in parts.items():
        if present:
            entries.append(Entry(anchor, title, 2))
    entries.append(Entry("signature", "Signature", 1))
    return tuple(entries)
