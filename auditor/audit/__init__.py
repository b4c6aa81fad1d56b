"""The audit as one function: spec and model in, results out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor.loading import AuditedModel
    from auditor.records import Results
    from auditor.run.events import Listener


def check(
    spec: Path | str,
    model: Path | str,
    *,
    out: Path | str | None = None,
    device: str = "auto",
    formats: Sequence[str] | None = None,
    select: str | None = None,
    exclude: str | None = None,
    jobs: int = 1,
    seed: int | None = None,
    time_budget: float | None = None,
    baseline: Path | str | None = None,
    cache: bool = True,
    gate: bool = True,
    allow_unsafe_load: bool = False,
    as_of: dt.date | None = None,
    listeners: Iterable[Listener] = (),
) -> Results:
    """Audits the model in file `model` as `spec` says, writes the output folder, returns the results.

    `time_budget` is in seconds; `as_of` is the day on which waivers are judged, today if absent; `baseline` an earlier
    run's folder; without `cache` everything is computed anew. A blocked gate is no exception: read `results.verdict`.
    Raises what the command line ends with exit 2, 3 and 130 for; RenderError where a format could not be rendered, the
    results being saved.
    """
    from auditor.audit.conduct import Options, conduct

    options = Options(
        device=device,
        select=select,
        exclude=exclude,
        jobs=jobs,
        seed=seed,
        time_budget=time_budget,
        baseline=None if baseline is None else Path(baseline),
        cache=cache,
        gate=gate,
        allow_unsafe_load=allow_unsafe_load,
        as_of=as_of,
        formats=formats,
        out=None if out is None else Path(out),
    )
    audited = conduct(Path(spec), Path(model), options, listeners=listeners)
    for error in audited.unrendered:
        raise error
    return audited.results


def load_model(
    spec: Path | str, model: Path | str, *, device: str = "cpu", allow_unsafe_load: bool = False
) -> AuditedModel:
    """The model as the audit sees it: from inputs in the spec's units to logits.

    Raises SpecErrors, ModelError, LoadRefused and HashMismatch.
    """
    from auditor.audit.prepare import read_spec
    from auditor.audit.subject import ModelOnDisk

    document = read_spec(Path(spec))
    loaded: Any = ModelOnDisk(document.model, Path(model), document.path.parent, allow_unsafe_load).load(device)
    return loaded


__all__ = ["check", "load_model"]
