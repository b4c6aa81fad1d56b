"""The document: a spec as read, every name resolved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from auditor.spec.check import Check
from auditor.spec.sections import Defaults, Gate, ModelSection, ReportSection, SourceSection, Waiver
from auditor.spec.training import Training
from auditor.spec.tree import Mark

SECTIONS = (
    "auditor", "name", "purpose", "risk_tier", "include", "vars", "model", "data", "training", "sets", "defaults",
    "checks", "gate", "waivers", "report",
)  # fmt: skip


class Document(BaseModel):
    """A valid spec. `checks` are in the order of the file, each with its name and the defaults filled in.

    `text` is the main file, `files` all that were read, `sha256` the hash of what they mean together, `places` where
    each check's key stands, in the main file or one that it includes.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    path: Path
    name: str
    purpose: str | None = None
    risk_tier: str | None = None
    model: ModelSection
    data: dict[str, SourceSection]
    training: Training | None = None
    sets: dict[str, tuple[tuple[str, ...], ...]] = {}
    defaults: Defaults = Defaults()
    checks: dict[str, Any]
    gate: Gate = Gate()
    waivers: tuple[Waiver, ...] = ()
    report: ReportSection = ReportSection()
    sha256: str
    text: str
    places: dict[str, Mark]
    files: tuple[Path, ...]

    def check(self, name: str) -> Check:
        return self.checks[name]
