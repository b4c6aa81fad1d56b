"""An audit from beginning to end: prepare, run, gate, write, render."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.audit.describe import data_records, model_record
from auditor.audit.folder import RESULTS, claim, default_folder, release, write_evidence
from auditor.audit.prepare import Prepared, prepare
from auditor.audit.rendering import render_each, wanted
from auditor.audit.rerun import rerun
from auditor.audit.roles import refuse_shared_rows
from auditor.audit.running import run_checks
from auditor.audit.samples import sample_paths, samples
from auditor.audit.scope import place, scope, spec_record
from auditor.digest import digest
from auditor.errors import RenderError
from auditor.gate import judge
from auditor.plan import require_present
from auditor.records import Baseline, Finding, Results, Run, Verdict
from auditor.run import Store
from auditor.run.determinism import environment_record
from auditor.run.events import Listener

if TYPE_CHECKING:
    from auditor.spec.check import Check


@dataclass(frozen=True)
class Options:
    """How an audit is to be done, as `auditor check` takes it. `as_of` is the day on which waivers are judged."""

    device: str = "auto"
    select: str | None = None
    exclude: str | None = None
    jobs: int = 1
    seed: int | None = None
    time_budget: float | None = None
    baseline: Path | None = None
    cache: bool = True
    gate: bool = True
    allow_unsafe_load: bool = False
    as_of: dt.date | None = None
    formats: Sequence[str] | None = None
    out: Path | None = None
    command: str = ""


@dataclass(frozen=True)
class Audited:
    """A finished audit: its results, where they lie, what was rendered, and which formats could not be."""

    results: Results
    folder: Path
    rendered: tuple[Path, ...]
    unrendered: tuple[RenderError, ...]


def conduct(spec: Path, model: Path, options: Options, *, listeners: Iterable[Listener] = ()) -> Audited:
    """Runs the audit and writes its folder. Nothing is lost on the way: results.json is there before any rendering.

    Raises what ends an audit before it has results: SpecErrors, UsageError, NotAvailable, ModelError, DataError,
    HashMismatch, Interrupted. Formats that could not be rendered are in `unrendered`.
    """
    started = dt.datetime.now(dt.UTC)
    clock = time.perf_counter()
    baseline = None if options.baseline is None else Results.read(options.baseline)
    prepared = prepare(
        spec,
        model,
        device=options.device,
        select=options.select,
        exclude=options.exclude,
        seed=options.seed,
        baseline=baseline,
        allow_unsafe=options.allow_unsafe_load,
    )
    prepared.require_available()
    require_present(prepared.devices)
    formats = wanted(options.formats, prepared.document.report.formats)
    as_of = options.as_of or dt.date.today()
    folder = options.out or default_folder(prepared.document.name, run_digest(prepared, as_of))
    claim(folder)
    try:
        store = Store()
        description = model_record(prepared, store)
        checks = _selected(prepared)
        refuse_shared_rows(prepared, store, checks)
        shown, pictures = samples(prepared, store, checks)
        made, outcome = run_checks(prepared, store, options, tuple(listeners))
        written = write_evidence(folder, made, pictures, model=description.sha256)
        findings, verdict, comparison = _gated(prepared, written, options, as_of, baseline)
        results = Results(
            spec=spec_record(prepared),
            model=description,
            data=data_records(prepared, checks, sampled=shown, paths=sample_paths(pictures)),
            scope=scope(prepared, as_of),
            verdict=verdict,
            findings=findings,
            baseline=comparison,
            run=Run(
                started=started.isoformat(timespec="seconds"),
                seconds=round(time.perf_counter() - clock, 3),
                environment=environment_record(prepared.devices[0]),
                device=",".join(prepared.devices),
                tasks=outcome.records,
                command=options.command,
                notes=outcome.notes,
            ),
        )
        results.write(folder / RESULTS)
    finally:
        release(folder)
    rendered, unrendered = render_each(folder, formats)
    return Audited(results, folder, rendered, unrendered)


def run_digest(prepared: Prepared, as_of: dt.date) -> str:
    """What the default folder is named after: everything that the results depend on."""
    return digest(
        {
            "spec": prepared.document.sha256,
            "judgements": {name: ref.digest for name, ref in prepared.plan.judgements.items()},
            "selection": prepared.plan.selection,
            "seed": prepared.seed,
            "as_of": as_of,
        }
    )


def _gated(
    prepared: Prepared,
    written: Mapping[str, Finding],
    options: Options,
    as_of: dt.date,
    baseline: Results | None,
) -> tuple[tuple[Finding, ...], Verdict, Baseline | None]:
    """Every finding with its place in the spec and its command, and the gate's word on all of them."""
    findings = [
        finding.model_copy(
            update={
                "rerun": rerun(prepared, finding.check, options, as_of),
                **place(prepared, finding.check),
            }
        )
        for finding in written.values()
    ]
    judged, verdict, comparison = judge(
        findings,
        prepared.document,
        as_of=as_of,
        baseline=baseline,
        baseline_path="" if options.baseline is None else options.baseline.as_posix(),
        left_out=prepared.plan.left_out,
    )
    if not options.gate:
        note = "The gate was not obeyed (--no-gate): the verdict is stated, the exit code is 0."
        verdict = verdict.model_copy(update={"warnings": (note, *verdict.warnings)})
    return judged, verdict, comparison


def _selected(prepared: Prepared) -> dict[str, Check]:
    return {name: check for name, check in prepared.checks.items() if name not in prepared.plan.left_out}
