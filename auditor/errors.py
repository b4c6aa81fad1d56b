"""Every error a user can meet, each with the exit code it ends the program with.

    AuditorError                 what: subject and finding; remedy: what to do
    ├── UsageError          2    command line, empty selection
    ├── SpecErrors          2    every problem of a spec in one pass, each a SpecProblem
    ├── NotAvailable        2    a check or option whose implementation is still to come
    ├── Undecidable         2    the rows at hand cannot decide the question
    ├── ModelError          3    model file missing, broken, or not the shape the spec says
    │   └── LoadRefused     3    loading the file could execute code
    ├── DataError           3    data missing, broken, overlapping or out of range
    ├── HashMismatch        3    a file is not the one the spec or the run pins
    ├── Unsupported         –    an operation no bound is known for; becomes a finding with status error
    ├── CertificateBroken   –    an attack flipped a certified point: our own mistake, stops the audit
    ├── AssumptionBroken    –    inputs were found that refute a constant the user vouched for
    ├── OutOfTime           –    the time budget ended a task on its way; its checks become inconclusive
    ├── TaskFailed          –    a task of the graph failed; becomes findings with status error
    ├── RecordError         3    a results file or store entry cannot be read
    ├── RenderError         5    results are saved, a format could not be rendered
    └── Interrupted       130    stopped by the user; everything finished is kept

`code` is a short slug that `auditor explain CODE` expands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class AuditorError(Exception):
    """Base of all errors meant for a user's eyes: what was found, where, and what to do about it."""

    exit_code: int = 4
    code: str = "internal"

    def __init__(self, what: str, *, remedy: str | None = None, code: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return self.what if self.remedy is None else f"{self.what}\n  {self.remedy}"

    def __reduce__(self):
        return (_rebuild, (type(self), self.what, self.__dict__))


def _rebuild(kind: type[AuditorError], what: str, fields: dict[str, Any]) -> AuditorError:
    """The error as it was, whatever its class adds: a worker's errors cross to the parent by pickling."""
    error = kind.__new__(kind, what)
    error.__dict__.update(fields)
    return error


class UsageError(AuditorError):
    exit_code = 2
    code = "usage"


@dataclass(frozen=True)
class SpecProblem:
    """One problem of a spec at `file:line:column` (both 1-based)."""

    file: str
    line: int
    column: int
    code: str
    what: str
    remedy: str | None = None

    def __lt__(self, other: SpecProblem) -> bool:
        """By place, then by what is written there."""
        return self._order() < other._order()

    def _order(self) -> tuple[Any, ...]:
        return (self.file, self.line, self.column, self.code, self.what, self.remedy or "")

    def __str__(self) -> str:
        head = f"{self.file}:{self.line}:{self.column}: {self.code}: {self.what}"
        return head if self.remedy is None else f"{head}\n    {self.remedy}"


class SpecErrors(AuditorError):
    """All problems found in one pass over a spec, in file order."""

    exit_code = 2
    code = "invalid-spec"

    def __init__(self, problems: list[SpecProblem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class NotAvailable(AuditorError):
    exit_code = 2
    code = "not-available"


class Undecidable(AuditorError):
    exit_code = 2
    code = "undecidable"


class ModelError(AuditorError):
    exit_code = 3
    code = "model"


class LoadRefused(ModelError):
    code = "load-refused"


class DataError(AuditorError):
    exit_code = 3
    code = "data"


class HashMismatch(AuditorError):
    exit_code = 3
    code = "hash-mismatch"


class Unsupported(AuditorError):
    """No sound bound is known for a node of the model's graph. `node` names it."""

    code = "unsupported"

    def __init__(self, what: str, *, node: str | None = None, remedy: str | None = None, code: str | None = None):
        super().__init__(what, remedy=remedy, code=code)
        self.node = node


class CertificateBroken(AuditorError):
    """An attack succeeded within a certified radius. `witness` holds the input and the point as NumPy arrays."""

    code = "certificate-broken"

    def __init__(
        self, what: str, *, witness: Mapping[str, Any] | None = None, remedy: str | None = None, code: str | None = None
    ):
        super().__init__(what, remedy=remedy, code=code)
        self.witness = dict(witness or {})


class AssumptionBroken(AuditorError):
    """Two inputs change more than a constant allows that the user vouched for."""

    code = "assumption-broken"


class OutOfTime(AuditorError):
    code = "out-of-time"


class TaskFailed(AuditorError):
    code = "task-failed"


class RecordError(AuditorError):
    exit_code = 3
    code = "record"


class RenderError(AuditorError):
    exit_code = 5
    code = "render"


class Interrupted(AuditorError):
    """Stopped by the user. What had finished is in the store, so the same command goes on from there."""

    exit_code = 130
    code = "interrupted"
