"""results.json, format `auditor-results/1`: the whole outcome of an audit, readable without model or torch."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from auditor.digest import jsonable
from auditor.errors import RecordError
from auditor.records.base import Record
from auditor.records.finding import Finding
from auditor.records.upgrade import FORMAT, upgrade


class SpecRecord(Record):
    """The spec as it was: `text` is the main file, so a report can print it with line numbers; `sha256` is that file's,
    `files` holds those of the files it includes and `texts` what stands in them."""

    name: str
    path: str
    sha256: str
    text: str = ""
    files: dict[str, str] = {}
    texts: dict[str, str] = {}


class ModelRecord(Record):
    path: str
    sha256: str
    parameters: int
    architecture: str | None = None
    input_shape: tuple[int, ...] = ()
    input_range: tuple[float, float] | None = None


class DataRecord(Record):
    """One source. `role` says what the audit used it for, `used` how many rows, `per_class` their counts by class.

    `samples` may name one picture (PNG, below the run's folder) a class, for the report's cover.
    """

    path: str
    sha256: str
    rows: int
    role: str = ""
    used: int | None = None
    per_class: dict[str, int] = {}
    samples: dict[str, str] = {}


class Reason(Record):
    """Why the gate is not open."""

    check: str
    status: str
    text: str


class Verdict(Record):
    status: Literal["passed", "blocked"]
    exit_code: int
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[str, ...] = ()


class Scope(Record):
    """What the report speaks about, from the spec. `set_users` are the checks that name each collection of `sets`."""

    purpose: str = ""
    risk_tier: str | None = None
    classes: tuple[str, ...] = ()
    training: dict[str, Any] | None = None
    sets: dict[str, tuple[tuple[str, ...], ...]] = {}
    set_users: dict[str, tuple[str, ...]] = {}
    gate: dict[str, Any] = {}
    waivers: tuple[dict[str, Any], ...] = ()
    report: dict[str, Any] = {}
    selection: str | None = None
    as_of: str = ""
    seed: int = 0


class Change(Record):
    """A check against the baseline run: `worse` is how far it moved in its bad direction, in the metric's units."""

    check: str
    before: float | None = None
    after: float | None = None
    status_before: str | None = None
    status_after: str | None = None
    worse: float | None = None
    regression: bool = False


class Baseline(Record):
    path: str
    started: str = ""
    model_sha256: str = ""
    changed: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()


class TaskRecord(Record):
    """One node of the graph that ran. `inputs` are digests, `checks` the names of the checks that needed it."""

    op: str
    digest: str
    seconds: float
    cached: bool
    status: Literal["ok", "failed", "skipped"] = "ok"
    inputs: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    halvings: int = 0
    error: str | None = None


class Run(Record):
    """Everything that may differ between two equal audits."""

    started: str = ""
    seconds: float = 0.0
    environment: dict[str, Any] = {}
    device: str = ""
    tasks: tuple[TaskRecord, ...] = ()
    command: str = ""
    notes: tuple[str, ...] = ()


class Results(Record):
    format: Literal["auditor-results/1"] = FORMAT
    spec: SpecRecord
    model: ModelRecord
    data: dict[str, DataRecord] = {}
    scope: Scope = Scope()
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    baseline: Baseline | None = None
    run: Run = Run()

    def finding(self, check: str) -> Finding:
        """The finding of the named check. Raises KeyError."""
        for finding in self.findings:
            if finding.check == check:
                return finding
        raise KeyError(check)

    def to_json(self) -> str:
        """Indented JSON, keys in the order of the contract, non-finite numbers as strings."""
        return json.dumps(jsonable(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, path: Path) -> None:
        """Writes atomically: a reader sees the old file or the new one, never half of one."""
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".results-")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(self.to_json())
        os.chmod(name, 0o644)
        os.replace(name, path)

    @classmethod
    def read(cls, path: Path) -> Results:
        """Reads results.json (or the folder that holds it), of this format or an older one. Raises RecordError."""
        path = Path(path)
        if path.is_dir():
            path = path / "results.json"
        try:
            return cls.model_validate(upgrade(json.loads(path.read_text("utf-8"))))
        except FileNotFoundError:
            raise RecordError(f"{path} does not exist", remedy="name the folder that `auditor check` wrote") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RecordError(f"{path} is not JSON: {error}", remedy="run `auditor check` again") from None
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise RecordError(f"{path}: {place}: {first['msg']}", remedy="run `auditor check` again") from None
