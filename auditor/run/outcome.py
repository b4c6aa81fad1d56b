"""What a run leaves: per check a judgement or why there is none, and a record of every task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from auditor.records import Judgement, TaskRecord


@dataclass(frozen=True)
class Failure:
    """Why a check has no judgement.

    `digest` and `label` name the task that failed or was left out, `error` what it raised (None where nothing did),
    `text` says it in one line, `traceback` in full.
    """

    status: Literal["failed", "skipped"]
    digest: str
    label: str
    text: str
    error: BaseException | None = None
    traceback: str | None = None


@dataclass(frozen=True)
class Outcome:
    """`results` by check in the order of the spec, `records` in the order of the plan; `notes` are for the reader."""

    results: Mapping[str, Judgement | Failure]
    records: tuple[TaskRecord, ...]
    notes: tuple[str, ...]
    seconds: float

    @property
    def judgements(self) -> dict[str, Judgement]:
        return {name: result for name, result in self.results.items() if isinstance(result, Judgement)}

    @property
    def failures(self) -> dict[str, Failure]:
        return {name: result for name, result in self.results.items() if isinstance(result, Failure)}
