"""Findings of checks that came to no answer: one refused, one left out."""

from __future__ import annotations

from auditor.records import Finding, Status
from tests.report.sample.desk import Desk


def broken(sample: Desk) -> Finding:
    return sample.finding(
        "robust/lipschitz",
        "robustness.lipschitz",
        "certified",
        status=Status.ERROR,
        claim="The bound is within a factor of two of what is seen.",
        metric="tightness",
        threshold={"at_least": 0.5},
        n=None,
        reason=("unsupported in 'margin bounds' at blocks.3: no bound is known for the layer LocalResponseNorm"),
        opens_when="the cause is gone: remove blocks.3 or replace it by a layer with a bound",
        summary=("Unsupported in 'margin bounds' at blocks.3: no bound is known for the layer LocalResponseNorm."),
        severity="error",
    )


def left_out(sample: Desk) -> Finding:
    return sample.finding(
        "private/property",
        "privacy.property",
        "attacked",
        status=Status.SKIPPED,
        severity="info",
        claim="Shares of the training set stay private.",
        metric="f1",
        threshold={"at_most": 0.6},
        n=None,
        reason="not selected by --select",
        summary="Not selected by --select.",
    )
