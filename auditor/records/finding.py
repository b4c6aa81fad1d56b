"""A finding: what one check concludes about one model, and on what kind of evidence."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from auditor.records.base import Number, Record
from auditor.records.evidence import AnyEvidence

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from auditor.records.certificate import Proved


class Status(enum.StrEnum):
    """The outcome of a check (contract: "What a verdict means")."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    SKIPPED = "skipped"


class EvidenceKind(enum.StrEnum):
    """Certified: a theorem. Probabilistic: one with chance 1-α. Measured: an interval. Attacked: the best attack."""

    CERTIFIED = "certified"
    PROBABILISTIC = "probabilistic"
    MEASURED = "measured"
    ATTACKED = "attacked"


Severity = Literal["error", "warn", "info"]


class Waived(Record):
    """The waiver laid over a finding; the original status stays."""

    reason: str
    owner: str
    granted: str
    expires: str


class Finding(Record):
    """One entry of `findings` in results.json. Absent is None, never 0.

    `interval` is [L, U], each end a one-sided bound at `confidence`. `claim` is the claim in plain words, `why` the
    author's reason, `summary` what was found in two sentences, `opens_when` the condition under which a non-pass
    passes (a clause, read after those two words), `rests_on` assumptions, `limits` what the finding does not show,
    `power` what the rows could have decided. A finding without a measurement says why in `reason`, and in `code` what
    `auditor explain` expands. `line` is the check's in the spec, or in `file` where the spec includes that.
    """

    check: str
    type: str
    status: Status
    waived: Waived | None = None
    severity: Severity = "error"
    evidence_kind: EvidenceKind
    threat_model: str | None = None
    assumed: tuple[str, ...] = ()
    claim: str
    metric: str
    value: Number | None = None
    interval: tuple[Number, Number] | None = None
    confidence: float | None = None
    threshold: dict[str, Any] | None = None
    n: int | None = None
    metrics: dict[str, Any] = {}
    evidence: tuple[AnyEvidence, ...] = ()
    limits: tuple[str, ...] = ()
    rerun: str = ""
    why: str | None = None
    summary: str = ""
    opens_when: str | None = None
    rests_on: tuple[str, ...] = ()
    power: str | None = None
    reason: str | None = None
    code: str | None = None
    tags: tuple[str, ...] = ()
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class Judgement:
    """What the last op of a check returns: the finding with the tables and images its evidence speaks of.

    `tables["points"]` is the per-point table of the contract; other keys are evidence ids. Images are uint8 arrays
    [height, width] or [height, width, 3], keyed by file stem. `proved` is what the run's certificate takes from it.
    """

    finding: Finding
    tables: dict[str, pa.Table] = field(default_factory=dict)
    images: dict[str, np.ndarray] = field(default_factory=dict)
    proved: Proved | None = None
