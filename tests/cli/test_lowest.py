"""`decision: lowest` end to end: a network of costs is audited as the network of their negatives is, by every check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow.parquet as parquet
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.conftest import Project

SPEC = """\
auditor: 1
name: turns
model:
  input: {shape: [1, 1, 2], range: [-1, 1]}
  classes: [straight, left, right, hard-left, hard-right]
  decision: DECISION
data: {members: "rows.py:members", others: "rows.py:others"}
sets:
  safe: {chain: [hard-left, left, straight, right, hard-right]}
defaults: {over: others, confidence: 0.95, seed: 7}
checks:
  accuracy:
    type: quality.accuracy
    require: {metric: accuracy, at_least: 0.5}
  safe/certified:
    type: robustness.certified
    epsilon: 0.02
    guarantee: {affinity: safe}
    attack: {pgd: {steps: 5, restarts: 1}}
    require: {metric: vra, at_least: 0.5}
  strict/certified:
    extends: safe/certified
    guarantee: standard
  strict/attacked:
    type: robustness.attacked
    epsilon: 0.05
    attack: {pgd: {steps: 5, restarts: 1}}
    require: {metric: accuracy_under_attack, at_least: 0.5}
  constant:
    type: robustness.lipschitz
    budget: {metric: global_upper, at_most: 1000}
  sound:
    type: influence.criterion
    quantity: {class: left, against: right}
    distribution: {linear: {baseline: 0.0}}
    units: attribution
    require: {metric: mass, region: {box: [0, 0, 1, 1]}, at_least: 0.1, for_at_least: 0.1}
  private:
    type: privacy.membership
    members: members
    attacks: [naive, loss]
    budget: {metric: advantage, at_most: 0.5}
  fair:
    type: bias.amplification
    budget: {metric: bias_amplification, at_most: 0.5}
"""

ROWS = '''
"""Random points, labelled by the sector that the second coordinate lies in."""
import numpy as np


def rows(seed):
    x = np.random.default_rng(seed).uniform(-1, 1, (150, 2)).astype(np.float32)
    order = np.array([3, 1, 0, 2, 4])
    return x.reshape(-1, 1, 1, 2), order[np.clip(((x[:, 1] + 1) * 2.5).astype(int), 0, 4)]


def members():
    return rows(0)


def others():
    return rows(1)
'''


def save(path: Path, sign: float) -> None:
    """Costs −sign·f of five advisories: f falls with the distance of the second coordinate from each sector's
    middle, up to what they share.
    """
    middles = np.array([0.0, -0.4, 0.4, -0.8, 0.8], dtype=np.float32)
    random = np.random.default_rng(0)
    hidden = random.standard_normal((2, 8)).astype(np.float32) * 0.05
    first = np.concatenate((hidden, np.array([[0, 0], [1, -1]], dtype=np.float32)), axis=1)
    last = np.zeros((10, 5), dtype=np.float32)
    last[:8] = random.standard_normal((8, 5)).astype(np.float32) * 0.05
    last[8], last[9] = 2 * middles, -2 * middles
    constants = {"w1": first, "b1": np.zeros(10, np.float32), "w2": -sign * last, "b2": sign * middles**2}
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w1"], ["a"]),
        helper.make_node("Add", ["a", "b1"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("MatMul", ["c", "w2"], ["d"]),
        helper.make_node("Add", ["d", "b2"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "turns",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def audited(project: Project, decision: str, *options: str) -> dict[str, Any]:
    Path("rows.py").write_text(ROWS)
    Path("turns.yaml").write_text(SPEC.replace("DECISION", decision))
    save(Path(f"{decision}.onnx"), 1.0 if decision == "lowest" else -1.0)
    assert project.run("check", "turns.yaml", f"{decision}.onnx", "-o", decision, "-f", "json", *options).code in (0, 1)
    return json.loads(Path(decision, "results.json").read_text())


def points(decision: str, check: str) -> dict[str, list[Any]]:
    return parquet.read_table(Path(decision, "evidence", check.replace("/", "__"), "points.parquet")).to_pydict()


def test_costs_are_audited_as_their_negatives_are(project: Project) -> None:
    lowest, highest = audited(project, "lowest"), audited(project, "highest")
    for low, high in zip(lowest["findings"], highest["findings"], strict=True):
        assert low["status"] == high["status"], low["check"]
        assert low["status"] in ("pass", "fail", "inconclusive"), low
        assert low["value"] == pytest.approx(high["value"], rel=1e-6), low["check"]
        one, other = points("lowest", low["check"]), points("highest", high["check"])
        assert one.keys() == other.keys()
        for column, values in one.items():
            for value, expected in zip(values, other[column], strict=True):
                near = (
                    pytest.approx(expected, rel=1e-4, abs=1e-6, nan_ok=True)
                    if isinstance(expected, float)
                    else expected
                )
                assert value == near, (low["check"], column)


def test_a_safe_region_holds_two_neighbouring_turns(project: Project) -> None:
    """Where two turns are close, strict robustness has no proof and the pair of them has."""
    results = audited(project, "lowest", "-s", "name:accuracy name:*/certified")
    values = {finding["check"]: finding["value"] for finding in results["findings"]}
    assert values["accuracy"] > 0.8
    assert values["strict/certified"] < values["safe/certified"]
    safe = points("lowest", "safe/certified")
    chain = [{3, 1}, {1, 0}, {0, 2}, {2, 4}]
    assert all(set(each) in chain for each in safe["robust_set"] if len(each) == 2)
    assert max(safe["k"]) == 2
