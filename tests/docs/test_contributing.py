"""CONTRIBUTING's "add a check" is a real diff: its file is a check that plans, runs and reports."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from auditor.records import Status
from tests.support import make_check, run_check

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    diff = re.search(r"```diff\n(.*?)```", text, re.DOTALL)
    assert diff is not None
    lines = [line[1:] for line in diff[1].splitlines() if line.startswith("+") and not line.startswith("+++")]
    path = tmp_path_factory.mktemp("added") / "added_confidence.py"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    spec = importlib.util.spec_from_file_location("added_confidence", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["added_confidence"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["added_confidence"]


@pytest.mark.parametrize(("scale", "status"), [(20.0, Status.PASS), (0.1, Status.FAIL)])
def test_the_check_that_contributing_adds_runs(written, scale, status):
    kind = written.ConfidentAnswers
    check = make_check(kind, kind.example)
    x = np.random.default_rng(0).normal(size=(200, 3)).astype("float32")
    model = nn.Linear(3, 3, bias=False)
    model.weight.data = scale * torch.eye(3)
    judgement = run_check(check, model=model, x=x, y=np.zeros(200, dtype="int64"))
    assert judgement.finding.status is status
    assert judgement.tables["points"].column_names == ["index", "probability"]
