"""Records of an audit, torch-free and versioned: findings, evidence, verdict, run log."""

from auditor.records.evidence import (
    AnyEvidence,
    Axis,
    Bars,
    Column,
    Curve,
    Dumbbell,
    Evidence,
    Graph,
    Heatmap,
    Histogram,
    ImageGrid,
    Mark,
    Node,
    Note,
    Series,
    Table,
    Tile,
)
from auditor.records.finding import EvidenceKind, Finding, Judgement, Severity, Status, Waived
from auditor.records.results import (
    Baseline,
    Change,
    DataRecord,
    ModelRecord,
    Reason,
    Results,
    Run,
    Scope,
    SpecRecord,
    TaskRecord,
    Verdict,
)

__all__ = [
    "AnyEvidence", "Axis", "Bars", "Baseline", "Change", "Column", "Curve", "DataRecord", "Dumbbell", "Evidence",
    "EvidenceKind", "Finding", "Graph", "Heatmap", "Histogram", "ImageGrid", "Judgement", "Mark", "ModelRecord", "Node",
    "Note", "Reason", "Results", "Run", "Scope", "Series", "Severity", "SpecRecord", "Status", "Table", "TaskRecord",
    "Tile", "Verdict", "Waived",
]
