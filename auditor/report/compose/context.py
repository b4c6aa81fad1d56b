"""What every part of the report needs to know of the run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from auditor.records import Finding, Results
from auditor.report.folder import RunFolder
from auditor.report.pictures import Gallery


def mark(finding: Finding) -> str:
    """The mark of a finding: its status, or `waived`."""
    return "waived" if finding.waived else finding.status.value


def measured(finding: Finding) -> bool:
    """Whether there is a number, so that the finding is evidence of its kind."""
    return finding.value is not None or finding.interval is not None


@dataclass(frozen=True)
class Context:
    results: Results
    folder: RunFolder
    gallery: Gallery

    @cached_property
    def blocking(self) -> tuple[str, ...]:
        """Checks that stand in the way, each once, in the order of the reasons."""
        return tuple(dict.fromkeys(reason.check for reason in self.results.verdict.reasons))

    @cached_property
    def anchors(self) -> dict[str, str]:
        """Where in the page each check is."""
        return {finding.check: f"check-{k}" for k, finding in enumerate(self.results.findings, 1)}

    @cached_property
    def run(self) -> str:
        """What the report calls the run: the first eight digits of the hash of its results."""
        return self.folder.sha256("results.json")[:8]
