"""What becomes of a check that gave no judgement."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from auditor.audit.findings import broken_certificate, judgements
from auditor.errors import CertificateBroken, Unsupported
from auditor.plan import Environment, Plan, Undecided
from auditor.records import EvidenceKind, Finding, Judgement, Status
from auditor.run import Failure, Outcome
from auditor.spec.check import Check, Require


class Example(Check):
    """It holds on {over}."""

    type: Literal["quality.example"]


def checks(*names: str) -> dict[str, Check]:
    require = Require(metric="accuracy", at_least=0.5)
    return {name: Example(name=name, type="quality.example", require=require) for name in names}


def judged(name: str) -> Judgement:
    return Judgement(
        Finding(
            check=name,
            type="quality.example",
            status=Status.PASS,
            evidence_kind=EvidenceKind.MEASURED,
            claim="c",
            metric="accuracy",
        )
    )


def found(names: str, results: dict[str, Any], **plan: Any) -> dict[str, Finding]:
    empty = Plan(tasks={}, judgements={}, environment=Environment("2.13", "cpu"), **plan)
    made = judgements(checks(*names.split()), empty, Outcome(results, (), (), 0.0))
    return {name: judgement.finding for name, judgement in made.items()}


def failure(digest: str, error: Exception | None, **fields: Any) -> Failure:
    return Failure(
        **({"status": "failed", "digest": digest, "label": "bound margins", "text": "t", "error": error} | fields)
    )


def test_the_first_check_of_a_failed_task_is_the_error_and_the_others_name_it() -> None:
    error = Unsupported("no bound for Softmax", node="network.2", remedy="use MinMax")
    made = found(
        "a b c d",
        {
            "a": judged("a"),
            "b": failure("x", error),
            "c": failure("x", error, status="skipped"),
            "d": failure("y", ValueError("v")),
        },
    )
    assert [item.status for item in made.values()] == ["pass", "error", "skipped", "error"]
    assert made["b"].reason == "unsupported in 'bound margins' at network.2: no bound for Softmax"
    assert (made["b"].code, made["b"].opens_when) == ("unsupported", "the cause is gone: use MinMax")
    assert made["c"].reason == "needs 'bound margins', which failed in b: no bound for Softmax"
    assert (made["d"].code, made["d"].reason) == ("internal", "internal in 'bound margins': ValueError: v")


def test_order_is_the_spec_s_whatever_ended_first() -> None:
    assert list(found("b a", {"a": judged("a"), "b": judged("b")})) == ["b", "a"]


def test_out_of_time_is_inconclusive() -> None:
    made = found("a", {"a": failure("x", None, status="skipped", text="the time budget of 60 s is used up")})["a"]
    assert made.status is Status.INCONCLUSIVE
    assert made.reason == "did not finish: the time budget of 60 s is used up"
    assert "--time-budget" in (made.opens_when or "")


def test_undecidable_says_how_many_rows_it_takes() -> None:
    made = found("a", {}, undecidable=(Undecided("a", 1, 59),))["a"]
    assert (made.status, made.n, made.value) == (Status.INCONCLUSIVE, 1, None)
    assert made.reason == "1 row cannot decide it at confidence 0.95; a pass takes at least 59"
    assert made.opens_when == "at least 59 rows are given, or a lower confidence is asked for"


def test_left_out_and_lost_checks_give_their_reason() -> None:
    made = found("a b", {}, left_out=("a",), selection="--select b")
    assert made["a"].reason == "not selected by --select b"
    assert made["b"].reason == "the audit stopped before it was judged"
    assert {item.status for item in made.values()} == {Status.SKIPPED}


@pytest.mark.parametrize("name", ["a", "b"])
def test_every_finding_without_a_judgement_has_its_claim_and_threshold(name: str) -> None:
    made = found("a b", {"a": failure("x", ValueError())}, left_out=("b",))[name]
    assert made.claim.startswith("It holds on")
    assert made.threshold == {"at_least": 0.5}
    assert made.summary
    assert made.reason


def test_a_broken_certificate_is_our_mistake_and_its_witness_is_kept() -> None:
    witness = {"input": np.zeros((1, 2, 2), np.float32), "adversarial": np.ones((1, 2, 2), np.float32)}
    (judgement,) = broken_certificate(list(checks("a").values()), CertificateBroken("row 3 flips", witness=witness))
    assert judgement.finding.status is Status.ERROR
    assert judgement.finding.code == "certificate-broken"
    assert (judgement.finding.reason or "").startswith("internal error: row 3 flips. Please report this")
    assert judgement.tables["witness"].to_pydict() == {"input": [0.0] * 4, "adversarial": [1.0] * 4}
    assert judgement.finding.evidence[0].id == "witness"
