"""What every check type promises, whoever wrote it: a claim, an example that loads, and plans that do not waver."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from auditor.checks.registry import discover
from auditor.errors import NotAvailable
from auditor.spec import load
from auditor.spec.check import Check
from tests.support import plan_check

TYPES = discover()
CONTRACT = {
    "quality.accuracy", "robustness.certified", "robustness.attacked", "robustness.lipschitz", "influence.criterion",
    "influence.concept", "influence.sanity", "privacy.membership", "privacy.property", "privacy.inversion",
    "privacy.encoding", "bias.amplification", "bias.directional",
}  # fmt: skip
SPEC = """\
auditor: 1
name: conformance
model:
  input: {shape: [1, 6, 6], range: [0, 1]}
  classes: [cat, dog]
data: {train: train.npz, test: test.npz, auxiliary: auxiliary.npz}
training:
  objective: cross_entropy
  optimizer: {adam: {lr: 0.001}}
  epochs: 1
defaults: {over: test, seed: 7}
checks:
  under/test:
    type: TYPE
"""


def example(kind: str, folder: Path) -> Check:
    """The type's own example, read from a spec written around it."""
    path = folder / "spec.yaml"
    path.write_text(SPEC.replace("TYPE", kind) + textwrap.indent(TYPES[kind].example.strip("\n") + "\n", "    "))
    return load(path, TYPES).checks["under/test"]


def subject() -> dict[str, Any]:
    random = np.random.default_rng(0)

    def rows(count: int) -> tuple[Any, Any]:
        return random.random((count, 1, 6, 6), dtype=np.float32), np.arange(count) % 2

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2))
    x, y = rows(4000)
    training = {"objective": "cross_entropy", "optimizer": {"adam": {"lr": 0.001}}, "epochs": 1, "batch_size": 128}
    return {
        "model": model, "x": x, "y": y, "classes": ["cat", "dog"], "train": rows(4000), "auxiliary": rows(1000),
        "input_range": (0.0, 1.0), "training": training,
    }  # fmt: skip


@pytest.fixture(params=sorted(TYPES))
def check(request: pytest.FixtureRequest, tmp_path: Path) -> Check:
    return example(request.param, tmp_path)


def test_every_type_of_the_contract_exists() -> None:
    assert set(TYPES) >= CONTRACT


def test_the_claim_is_a_sentence(check: Check) -> None:
    assert type(check).__doc__
    claim = check.claim_text()
    assert claim[0].isupper()
    assert claim.endswith((".", ")"))
    assert "{" not in claim
    assert "None" not in claim


def test_metrics_are_named_and_explained(check: Check) -> None:
    assert check.threshold.metric in check.metrics
    for name, meaning in check.metrics.items():
        assert name.strip() == name
        assert len(meaning.split()) >= 2


def test_a_check_survives_being_written_down(check: Check) -> None:
    assert type(check).model_validate_json(check.model_dump_json()) == check


def test_planning_is_deterministic_or_refused_in_words(check: Check) -> None:
    if missing := check.unavailable():
        assert check.experimental
        with pytest.raises(NotAvailable, match="comes with a later version"):
            plan_check(check, **subject())
        assert all(len(words.split()) > 3 for words in missing)
        return
    assert not check.experimental
    first, second = plan_check(check, **subject()), plan_check(check, **subject())
    assert first.tasks.keys() == second.tasks.keys()
    assert first.judgements == second.judgements


def test_only_the_judge_sees_the_threshold(check: Check) -> None:
    if check.experimental:
        pytest.skip("comes with a later version")
    threshold = check.threshold
    side, bound = next((side, bound) for side, bound in threshold if side in ("at_least", "at_most") and bound)
    moved = threshold.model_copy(update={side: bound * 0.9})
    other = check.model_copy(update={"require" if check.require else "budget": moved})
    first, second = plan_check(check, **subject()), plan_check(other, **subject())
    (judge,), (other_judge,) = first.judgements.values(), second.judgements.values()
    assert judge != other_judge
    assert first.tasks.keys() - second.tasks.keys() == {judge.digest}
    assert first.tasks[judge.digest].op.label == "judge"


def test_types_are_discovered_without_torch_and_scipy() -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'scipy', 'sklearn', 'matplotlib', 'pyarrow'): sys.modules[name] = None\n"
        "from auditor.checks.registry import discover\n"
        "print(*discover())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == list(TYPES)
