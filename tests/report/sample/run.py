"""How the invented audit ran: its tasks, its machine, its command."""

from __future__ import annotations

from auditor.records import Finding, Run, Status, TaskRecord

NOTE = "sample data: no figure in this report comes from a model"


def audit_run(findings: tuple[Finding, ...]) -> Run:
    """The run in which `findings` were made."""
    checks = tuple(f.check for f in findings if f.status is not Status.SKIPPED)
    robust = tuple(c for c in checks if c.startswith("robust"))
    tasks: list[tuple[str, float, bool, tuple[str, ...], tuple[str, ...]]] = [
        ("load_model", 0.4, False, (), checks),
        ("read_rows", 1.1, False, (), checks),
        ("read_members", 3.9, False, (), ("private/membership", "private/inversion")),
        ("read_auxiliary", 1.0, False, (), ("private/membership",)),
        ("forward_pass", 1.9, False, ("load_model", "read_rows"), checks),
        ("forward_members", 6.8, False, ("load_model", "read_members"), ("private/membership",)),
        ("margin_bounds", 0.8, True, ("load_model",), robust),
        (
            "certify",
            0.3,
            False,
            ("forward_pass", "margin_bounds"),
            ("robust/standard", "robust/top-3", "robust/affinity"),
        ),
        (
            "pgd_attack",
            214.0,
            False,
            ("load_model", "read_rows", "forward_pass"),
            ("robust/attacked", "robust/standard"),
        ),
        ("influence_input", 41.2, False, ("load_model", "read_rows"), ("sound/river-not-border",)),
        ("influence_units", 9.4, False, ("load_model", "read_rows"), ("sound/same-units",)),
        ("randomised_refits", 58.0, False, ("load_model", "read_rows"), ("sound/explanations-follow-the-model",)),
        ("shadow_models", 1481.0, False, ("read_auxiliary",), ("private/membership",)),
        (
            "membership_scores",
            36.5,
            False,
            ("forward_pass", "forward_members", "shadow_models"),
            ("private/membership",),
        ),
        ("inversions", 312.0, False, ("load_model", "read_members"), ("private/inversion",)),
    ]
    feeds = {
        "accuracy": ("forward_pass",),
        "robust/standard": ("certify", "pgd_attack"),
        "robust/top-3": ("certify",),
        "robust/affinity": ("certify",),
        "robust/attacked": ("pgd_attack",),
        "sound/river-not-border": ("influence_input", "forward_pass"),
        "sound/same-units": ("influence_units",),
        "sound/explanations-follow-the-model": ("randomised_refits",),
        "private/membership": ("membership_scores",),
        "private/inversion": ("inversions",),
        "fair/amplification": ("forward_pass",),
        "robust/lipschitz": ("margin_bounds",),
    }
    records = [
        TaskRecord(
            op=f"auditor.checks.sample:{op}",
            digest=op,
            seconds=seconds,
            cached=cached,
            inputs=inputs,
            checks=tuple(c for c in used if c in checks),
        )
        for op, seconds, cached, inputs, used in tasks
    ]
    records += [
        TaskRecord(
            op="auditor.checks.sample:judge",
            digest=f"judge-{check}",
            seconds=0.02,
            cached=False,
            inputs=feeds[check],
            checks=(check,),
        )
        for check in checks
    ]
    return Run(
        started="2026-11-20T09:14:07+00:00",
        seconds=2212.0,
        device="cpu",
        environment={
            "auditor": "0.1.0",
            "python": "3.11.2",
            "torch": "2.13.0",
            "numpy": "2.4.1",
            "system": "Linux",
        },
        tasks=tuple(records),
        command="auditor check specs/eurosat.yaml model.pt --seed 7 --baseline reports/eurosat-7f0c2b1e",
        notes=(NOTE,),
    )
