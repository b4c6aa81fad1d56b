"""The table of a finding's numbers."""

from __future__ import annotations

from auditor.records import Finding, Status
from auditor.records.finding import EvidenceKind
from auditor.report.numbers import sheets


def test_the_number_judged_stands_beside_the_interval_it_was_judged_by() -> None:
    """A distance of 0.04 whose signed difference lies in [-0.06, -0.02]: the interval is that of the distance."""
    finding = Finding(
        check="fair",
        type="bias.amplification",
        evidence_kind=EvidenceKind.MEASURED,
        status=Status.PASS,
        claim="fair",
        metric="bias_amplification",
        value=0.04,
        interval=(0.02, 0.06),
        threshold={"at_most": 0.1},
        metrics={
            "bias_amplification": 0.04,
            "bias_amplification_interval": [-0.06, -0.02],
            "prior": 0.1,
            "prior_interval": [0.09, 0.11],
        },
    )
    (sheet,) = sheets(finding)
    shown = {row[0].text: [cell.text for cell in row] for row in sheet.rows}
    assert "[0.020, 0.060]" in shown["bias_amplification"]
    assert "[0.090, 0.110]" in shown["prior"]
