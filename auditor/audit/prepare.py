"""Everything before the first task runs: the spec read, the sources hashed, the plan compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.audit.subject import ModelOnDisk, subject_of
from auditor.errors import ModelError, NotAvailable
from auditor.plan import Plan, Subject, devices, environment, plan_checks
from auditor.records import Results

if TYPE_CHECKING:
    from auditor.sources import Manifest
    from auditor.spec.check import Check
    from auditor.spec.document import Document


ABSENT = Path("MODEL")
"""Stands for the model file where a plan is only looked at."""


@dataclass(frozen=True)
class Prepared:
    """An audit that could start. `checks` are the document's, with `--seed` laid over; paths are as given."""

    spec: Path
    document: Document
    checks: Mapping[str, Check]
    model: ModelOnDisk
    manifests: Mapping[str, Manifest]
    subject: Subject
    plan: Plan
    devices: tuple[str, ...]
    seed: int

    def require_available(self) -> None:
        """Raises NotAvailable, listing every selected check that asks for what this version cannot do yet."""
        missing = self.plan.unavailable
        if missing:
            listed = "\n".join(f"  {item.check}: {', '.join(item.reasons)}" for item in missing)
            names = " ".join(f"name:{item.check}" for item in missing)
            one = len(missing) == 1
            raise NotAvailable(
                f"{len(missing)} check{' asks' if one else 's ask'} for what this version cannot do yet:\n{listed}",
                remedy=f"leave {'it' if one else 'them'} out with --exclude '{names}'",
            )


def read_spec(spec: Path) -> Document:
    """The document of a spec file, with every check type that is installed. Raises SpecErrors."""
    from auditor.checks.registry import discover
    from auditor.spec import load

    return load(spec, discover())


def prepare(
    spec: Path,
    model: Path | None,
    *,
    device: str = "auto",
    select: str | None = None,
    exclude: str | None = None,
    seed: int | None = None,
    baseline: Results | None = None,
    allow_unsafe: bool = False,
) -> Prepared:
    """Reads the spec, hashes model and data, plans the selected checks. Without a model, a plan that cannot run.

    Raises SpecErrors, UsageError (selection), ModelError, DataError and HashMismatch.
    """
    from auditor.checks.common.ops import COMMON

    named = devices(device)
    document = read_spec(spec)
    if model is not None and not model.is_file():
        what = "is a folder" if model.is_dir() else "does not exist"
        trained = f"train one: auditor train {spec} -o {model}"
        remedy = "give the file of the trained weights" if document.training is None else trained
        raise ModelError(f"model file {model} {what}", remedy=remedy)
    on_disk = ModelOnDisk(document.model, model or ABSENT, document.path.parent, allow_unsafe)
    manifests = read_manifests(document)
    subject = subject_of(document, on_disk, manifests)
    checks = dict(document.checks)
    if seed is not None:
        checks = {name: check.model_copy(update={"seed": seed}) for name, check in checks.items()}
    plan = plan_checks(
        checks,
        subject,
        common=COMMON,
        environment=environment(named[0]),
        select=select,
        exclude=exclude,
        baseline=baseline,
    )
    return Prepared(
        spec=spec,
        document=document,
        checks=checks,
        model=on_disk,
        manifests=manifests,
        subject=subject,
        plan=plan,
        devices=named,
        seed=document.defaults.seed if seed is None else seed,
    )


def read_manifests(document: Document) -> dict[str, Manifest]:
    """Every source of the spec, found, hashed and counted. Raises DataError and HashMismatch."""
    from auditor.sources import manifests

    return manifests(document.data, document.model, base=document.path.parent)
