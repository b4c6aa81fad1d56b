"""Running the plan, down to one judgement per check of the spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.audit.findings import broken_certificate, judgements
from auditor.errors import CertificateBroken
from auditor.records import Judgement
from auditor.run import Outcome, Store, execute
from auditor.run.events import Listener, TaskFinished

if TYPE_CHECKING:
    from auditor.audit.conduct import Options
    from auditor.audit.prepare import Prepared


def run_checks(
    prepared: Prepared, store: Store, options: Options, listeners: tuple[Listener, ...]
) -> tuple[dict[str, Judgement], Outcome]:
    """Every check's judgement. A broken certificate stops the run and becomes the error of the checks it concerns."""
    watch = _Watch()
    try:
        outcome = execute(
            prepared.plan,
            store=store,
            devices=prepared.devices,
            jobs=options.jobs,
            listeners=(watch, *listeners),
            fresh=not options.cache,
            time_budget=options.time_budget,
        )
    except CertificateBroken as error:
        outcome = Outcome({}, (), (f"stopped: {error.what}",), 0.0)
        made = judgements(prepared.checks, prepared.plan, outcome)
        concerned = prepared.plan.checks_of.get(watch.failed or "", tuple(prepared.plan.judgements))
        for judgement in broken_certificate([prepared.checks[name] for name in concerned], error):
            made[judgement.finding.check] = judgement
        return made, outcome
    return judgements(prepared.checks, prepared.plan, outcome), outcome


class _Watch:
    """Remembers which task failed last: a broken certificate is raised without saying where."""

    failed: str | None = None

    def __call__(self, event: object) -> None:
        if isinstance(event, TaskFinished) and event.status == "failed":
            self.failed = event.digest
