"""The whole record of the invented audit."""

from __future__ import annotations

from auditor.records import (
    Baseline,
    Change,
    DataRecord,
    Finding,
    ModelRecord,
    Reason,
    Results,
    Scope,
    SpecRecord,
    Status,
    Verdict,
)
from tests.report.sample import influence, privacy, rates, robustness, unfinished
from tests.report.sample.desk import Desk
from tests.report.sample.run import audit_run


def results(sample: Desk, passed: bool) -> Results:
    """What was found and decided; where it `passed`, without the findings that block."""
    findings = (
        rates.accuracy(sample),
        robustness.certified(sample),
        robustness.top3(sample),
        robustness.affinity(sample),
        robustness.attacked(sample),
        influence.criterion(sample),
        influence.units(sample),
        influence.sanity(sample),
        privacy.membership(sample),
        privacy.inversion(sample),
        rates.amplification(sample),
        unfinished.broken(sample),
        unfinished.left_out(sample),
    )
    blocked = [f for f in findings if f.status is not Status.PASS and f.waived is None and f.severity == "error"]
    if passed:
        findings = tuple(f for f in findings if f not in blocked)
        blocked = []
    reasons = tuple(
        Reason(
            check=f.check,
            status=f.status.value,
            text=(f.reason and f"Could not finish: {f.reason}.")
            or f"{f.status.value.capitalize()}: {f.metric} {f.value}.",
        )
        for f in blocked
    )
    if not passed:
        reasons += (
            Reason(
                check="sound/river-not-border",
                status="regression",
                text=(
                    "Regressed: fraction was 0.921 in the baseline and is now 0.8465, worse by 0.0745 "
                    "where 0.01 is allowed."
                ),
            ),
        )
    for k in range(len(sample.classes)):
        sample.image("_samples", f"class-{k}", sample.patch(100 + k))
    return Results(
        spec=SpecRecord(name="eurosat", path="specs/eurosat.yaml", sha256="b8" * 32, text=sample.text),
        model=ModelRecord(
            path="model.pt",
            sha256="9d41" * 16,
            parameters=1248970,
            architecture="examples/eurosat/model.py:build",
            input_shape=(3, 64, 64),
            input_range=(0.0, 1.0),
        ),
        data={
            "test": DataRecord(
                path="data/eurosat/test.parquet",
                sha256="24f9" * 16,
                rows=9003,
                role="what checks look at",
                used=4500,
                per_class={name: 450 + (k * 37) % 80 - 40 for k, name in enumerate(sample.classes)},
                samples={name: f"evidence/_samples/class-{k}.png" for k, name in enumerate(sample.classes)},
            ),
            "train": DataRecord(
                path="data/eurosat/train.parquet",
                sha256="61e0" * 16,
                rows=17997,
                role="what the model was trained on",
                used=4500,
            ),
            "auxiliary": DataRecord(
                path="data/eurosat/test.parquet",
                sha256="24f9" * 16,
                rows=9003,
                role="what an attacker knows",
                used=4503,
            ),
        },
        scope=Scope(
            purpose="Land use of one 64x64 Sentinel-2 RGB patch. Not for legal boundary decisions.",
            risk_tier="high",
            classes=sample.classes,
            training={
                "objective": {"gloro": {"epsilon": 0.141, "guarantee": {"top_k": 3}}},
                "optimizer": {"adam": {"lr": 0.001}},
                "epochs": 200,
                "batch_size": 256,
            },
            sets={
                "highway+river": tuple(tuple(dict.fromkeys((name, "Highway", "River"))) for name in sample.classes),
                "highway+river+agriculture": (
                    *(tuple(dict.fromkeys((name, "Highway", "River"))) for name in sample.classes),
                    ("AnnualCrop", "PermanentCrop"),
                ),
            },
            set_users={"highway+river+agriculture": ("robust/affinity",)},
            gate={"block_on": ["fail", "inconclusive", "error"], "regression": 0.01},
            waivers=(
                {
                    "check": "private/inversion",
                    "reason": "Patches are public imagery, RISK-214.",
                    "owner": "j.doe@example.org",
                    "granted": "2026-11-20",
                    "expires": "2027-06-30",
                },
            ),
            report={
                "frameworks": ["eu-ai-act", "nist-ai-rmf", "sr-26-2"],
                "reviewers": ["j.doe@example.org"],
                "redact": ["members"],
            },
            as_of="2026-11-20",
            seed=7,
        ),
        verdict=Verdict(
            status="passed" if passed else "blocked",
            exit_code=0 if passed else 1,
            reasons=reasons,
            warnings=("private/property (severity info): not part of this audit.",),
        ),
        findings=findings,
        baseline=Baseline(
            path="reports/eurosat-7f0c2b1e",
            started="2026-09-02T08:00:00+00:00",
            changed=("the weights",),
            changes=tuple(_change(f) for f in findings),
        ),
        run=audit_run(findings),
    )


def _change(finding: Finding) -> Change:
    before = {"sound/river-not-border": 0.921, "private/membership": 0.083}.get(
        finding.check, (finding.value or 0) + 0.003
    )
    shift = 0 if finding.value is None else before - finding.value
    old = {"sound/river-not-border": "pass"}.get(finding.check, finding.status.value)
    return Change(
        check=finding.check,
        before=None if finding.value is None else before,
        after=finding.value,
        status_before=old,
        status_after=finding.status.value,
        worse=abs(shift),
        regression=finding.check == "sound/river-not-border",
    )
