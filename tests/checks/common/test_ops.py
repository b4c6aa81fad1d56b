"""The shared ops, and the helper that check authors test with, end to end on a small model."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from auditor.checks.common.conclude import conclude
from auditor.checks.common.ops import forward, read_inputs, select_rows
from auditor.errors import NotAvailable, Undecidable
from auditor.plan.op import op
from auditor.records import EvidenceKind, Judgement
from auditor.run import Store
from auditor.spec.check import Check
from tests.run.audit_process import everything
from tests.support import ArraySource, audited, make_check, run_check


@op(version=1)
def judge(
    *, logits: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor, index: torch.Tensor, check: Share
) -> Judgement:
    import pyarrow as pa

    right = (logits[rows].argmax(1) == labels[rows]).double()
    value = float(right.mean())
    points = pa.table({"index": index[rows].numpy(), "label": labels[rows].numpy()})
    return conclude(
        check,
        kind=EvidenceKind.MEASURED,
        value=value,
        interval=(value, value),
        n=len(rows),
        metrics={"accuracy": value},
        summary=f"{value:.1%} of {len(rows)} rows are right. The rest is not.",
        tables={"points": points},
    )


@op(version=1)
def explode(*, x: Any) -> Judgement:
    raise ZeroDivisionError("as planned")


class Share(Check):
    """The share of {over} that is right is high."""

    type: Literal["test.share"]
    explodes: bool = False
    soon: bool = False
    dtype: str = "float32"

    def unavailable(self):
        return ("it",) if self.soon else ()

    def rows_needed(self, rows):
        return 10 if rows < 10 else None

    def plan(self, build):
        assert self.over is not None
        if self.explodes:
            return build.add(explode, x=build.model())
        return build.add(
            judge,
            logits=build.logits(self.over, dtype=self.dtype),
            labels=build.labels(self.over),
            rows=build.selected(self.over, self.where),
            index=build.index(self.over),
            check=self,
        )


@pytest.fixture(scope="module")
def case():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    x = torch.rand(64, 3, 2, 2)
    y = model.eval()(x).argmax(1)
    y[:8] = (y[:8] + 1) % 3
    return {"model": model, "x": x, "y": y, "classes": ("a", "b", "c")}


BODY = "require: {metric: accuracy, at_least: 0.5}"


def test_a_check_runs_end_to_end_on_arrays(case):
    judgement = run_check(make_check(Share, BODY), **case)
    assert judgement.finding.value == 56 / 64
    assert judgement.finding.status == "pass"
    assert judgement.tables["points"]["index"].to_pylist() == list(range(64))


def test_rows_and_where_reach_the_op(case):
    fields = {"over": {"data": "test", "rows": "2::2"}, "where": {"correct": True, "label": ("a", "b", "c")}}
    judgement = run_check(make_check(Share, BODY, **fields), **case)
    assert judgement.finding.value == 1.0
    assert judgement.tables["points"]["index"].to_pylist() == list(range(8, 64, 2))


def test_two_workers_give_the_same_judgement(case, tmp_path):
    check = make_check(Share, BODY, dtype="float64")
    one = run_check(check, store=tmp_path / "one", **case)
    two = run_check(check, store=tmp_path / "two", jobs=2, **case)
    assert everything(one) == everything(two)


def test_a_second_run_never_touches_the_model(case, tmp_path):
    store = Store(tmp_path)
    first = run_check(make_check(Share, BODY), store=store, **case)

    from tests import support

    def load(self, device):
        raise AssertionError("loaded")

    original, support.ModuleInMemory.load = support.ModuleInMemory.load, load
    try:
        again = run_check(make_check(Share, BODY), store=store, **case)
        edited = run_check(make_check(Share, BODY.replace("0.5", "0.9")), store=store, **case)
    finally:
        support.ModuleInMemory.load = original
    assert everything(again) == everything(first)
    assert edited.finding.status == "fail"


def test_what_the_task_raises_is_raised(case):
    with pytest.raises(ZeroDivisionError, match="as planned"):
        run_check(make_check(Share, BODY, explodes=True), **case)
    with pytest.raises(NotAvailable, match="not available yet: it"):
        run_check(make_check(Share, BODY, soon=True), **case)
    with pytest.raises(Undecidable, match="9 rows cannot decide it; a pass takes at least 10"):
        run_check(make_check(Share, BODY, over={"data": "test", "rows": ":9"}), **case)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_forward_in_batches_is_the_plain_forward_pass(case, dtype, batch_size):
    kind = getattr(torch, dtype)
    model = audited(case["model"], case["classes"], (3, 2, 2))
    seen = []
    logits = forward(
        model=model,
        inputs=case["x"],
        dtype=dtype,
        batch_size=batch_size,
        device="cpu",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert logits.dtype == kind
    assert seen[-1] == (64, 64)
    assert len(seen) == math.ceil(64 / batch_size)
    assert next(case["model"].parameters()).dtype == torch.float32, "the audited model stays as it is"
    import copy

    expected = copy.deepcopy(case["model"]).to(kind)(case["x"].to(kind))
    torch.testing.assert_close(logits, expected, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float64_takes_no_convolution_from_a_library_that_chooses_its_algorithm(case, dtype):
    """The bound on a float64 evaluation's error presumes sums of products: cuDNN may choose others."""
    enabled = []

    class Watched(nn.Module):
        def forward(self, x):
            enabled.append((torch.backends.cudnn.enabled, torch._C._get_nnpack_enabled()))
            return case["model"].to(x.dtype)(x)

    before = torch.backends.cudnn.enabled, torch._C._get_nnpack_enabled()
    forward(
        model=audited(Watched(), case["classes"], (3, 2, 2)),
        inputs=case["x"], dtype=dtype, batch_size=64, device="cpu", progress=lambda *_: None,
    )  # fmt: skip
    assert enabled == [(False, False) if dtype == "float64" else before]
    assert (torch.backends.cudnn.enabled, torch._C._get_nnpack_enabled()) == before


def test_forward_of_no_rows_has_the_classes(case):
    model = audited(case["model"], case["classes"], (3, 2, 2))
    logits = forward(
        model=model, inputs=case["x"][:0], dtype="float64", batch_size=8, device="cpu", progress=lambda *_: None
    )
    assert (logits.shape, logits.dtype) == ((0, 3), torch.float64)


def test_inputs_are_a_slice_of_the_source():
    source = ArraySource(np.arange(20, dtype=np.float32).reshape(10, 2), np.zeros(10, np.int64))
    assert read_inputs(source=source, start=2, stop=9, step=3).tolist() == [[4, 5], [10, 11], [16, 17]]


rows = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from("fm")), max_size=12)
classes = st.none() | st.lists(st.integers(0, 2)).map(tuple)


@given(rows, classes, classes, st.none() | st.booleans(), st.none() | st.sampled_from("fmx"))
def test_selected_rows_are_those_that_satisfy_every_condition(rows, of_label, of_prediction, correct, sex):
    labels = torch.tensor([label for label, _, _ in rows], dtype=torch.int64)
    logits = nn.functional.one_hot(torch.tensor([predicted for _, predicted, _ in rows], dtype=torch.int64), 3).double()
    found = select_rows(
        labels=labels,
        attributes={"sex": np.array([item for _, _, item in rows], dtype=object)},
        logits=logits,
        of_label=of_label,
        of_prediction=of_prediction,
        correct=correct,
        of_attributes={} if sex is None else {"sex": sex},
    )
    expected = [
        at
        for at, (label, predicted, item) in enumerate(rows)
        if (of_label is None or label in of_label)
        and (of_prediction is None or predicted in of_prediction)
        and (correct is None or (label == predicted) == correct)
        and sex in (None, item)
    ]
    assert found.tolist() == expected
    assert found.dtype == torch.int64
