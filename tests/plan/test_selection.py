"""`--select` and `--exclude`: sets of checks, never silently empty."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import UsageError
from auditor.plan.selection import choose, select
from auditor.records import (
    EvidenceKind,
    Finding,
    ModelRecord,
    Results,
    Run,
    SpecRecord,
    Status,
    TaskRecord,
    Verdict,
    Waived,
)
from auditor.spec.check import Check, Require


class Plain(Check):
    """It holds."""

    type: Literal["quality.accuracy", "robustness.certified"]


def check(name: str, kind: str = "quality.accuracy", *tags: str) -> Plain:
    return Plain(name=name, type=kind, tags=tags, require=Require(metric="m", at_least=0.0))


CHECKS = {
    item.name: item
    for item in [
        check("accuracy", "quality.accuracy", "fast"),
        check("robust/standard", "robustness.certified", "fast", "nightly"),
        check("robust/top-3", "robustness.certified"),
        check("sound/border"),
    ]
}


def finding(name: str, status: Status, *, waived: bool = False) -> Finding:
    return Finding(
        check=name,
        type="t",
        status=status,
        evidence_kind=EvidenceKind.MEASURED,
        claim="",
        metric="m",
        waived=Waived(reason="r", owner="o", granted="2026-01-01", expires="2027-01-01") if waived else None,
    )


BASELINE = Results(
    spec=SpecRecord(name="", path="", sha256=""),
    model=ModelRecord(path="", sha256="", parameters=0),
    verdict=Verdict(status="passed", exit_code=0),
    findings=(finding("accuracy", Status.PASS), finding("robust/top-3", Status.FAIL, waived=True)),
    run=Run(
        tasks=(
            TaskRecord(op="a:judge", digest="1", seconds=0, cached=False, checks=("accuracy",)),
            TaskRecord(op="a:judge", digest="2", seconds=0, cached=False, checks=("robust/top-3",)),
        )
    ),
)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("accuracy", ["accuracy"]),
        ("robust/*", ["robust/standard", "robust/top-3"]),
        ("name:robust/*,tag:fast", ["robust/standard"]),
        ("sound/* accuracy", ["accuracy", "sound/border"]),
        ("type:robustness.*", ["robust/standard", "robust/top-3"]),
        ("tag:night*", ["robust/standard"]),
        ("tag:fast,type:quality.* robust/top-?", ["accuracy", "robust/top-3"]),
        ("*", list(CHECKS)),
        ("status:fail", ["robust/top-3"]),
        ("status:waived", ["robust/top-3"]),
        ("status:pass robust/standard", ["accuracy", "robust/standard"]),
        ("state:modified", ["robust/standard", "robust/top-3", "sound/border"]),
        ("state:modified,robust/*", ["robust/standard", "robust/top-3"]),
        ("ROBUST/*", []),
        ("absent", []),
    ],
)
def test_expressions(expression, names):
    digests = {"accuracy": "1", "robust/top-3": "other", "robust/standard": "3"}
    assert select(CHECKS, expression, BASELINE, digests) == names


terms = st.sampled_from(["accuracy", "robust/*", "tag:fast", "type:quality.*", "*", "absent", "status:pass"])


@given(st.lists(st.lists(terms, min_size=1), min_size=1))
def test_space_is_union_and_comma_intersection(expression):
    text = " ".join(",".join(part) for part in expression)
    expected = {
        name
        for name in CHECKS
        if any(all(name in select(CHECKS, term, BASELINE) for term in part) for part in expression)
    }
    assert select(CHECKS, text, BASELINE) == [name for name in CHECKS if name in expected]


def test_exclude_takes_away():
    assert choose(CHECKS, None, "robust/* sound/*") == ["accuracy"]
    assert choose(CHECKS, "tag:fast", "tag:nightly") == ["accuracy"]
    assert choose(CHECKS, None, None) == list(CHECKS)


@pytest.mark.parametrize(
    ("chosen", "excluded", "message"),
    [
        ("acuracy", None, "did you mean accuracy"),
        (None, "*", "leaves no check"),
        ("", None, "empty"),
        ("accuracy,", None, "a term is empty"),
        ("name:", None, "a term is empty"),
        ("kind:x", None, "kind: is not a method"),
        ("status:fail", None, "earlier run"),
        ("state:modified", None, "earlier run"),
    ],
)
def test_nothing_selected_and_nonsense_are_usage_errors(chosen, excluded, message):
    with pytest.raises(UsageError, match=message) as caught:
        choose(CHECKS, chosen, excluded)
    assert caught.value.exit_code == 2


def test_the_only_state_is_modified():
    with pytest.raises(UsageError, match="state:new is not known"):
        select(CHECKS, "state:new", BASELINE, {})
