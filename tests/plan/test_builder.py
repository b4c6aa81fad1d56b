"""The builder and the plan: equal questions are one task, and what cannot be decided is said before anything runs."""

from __future__ import annotations

import sys
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn

from auditor.checks.common.ops import COMMON
from auditor.errors import DataError, UsageError
from auditor.plan import Builder, environment, plan_checks
from auditor.plan.drawing import FORMATS, draw
from auditor.plan.estimate import Timing, estimate, shares
from auditor.plan.machine import devices
from auditor.plan.op import op
from auditor.spec.check import Check, Require
from auditor.spec.rows import Rows, Where
from tests.support import make_subject

TEST = Rows(data="test")


@op(version=1)
def judge(*, logits: Any, labels: Any, rows: Any, at_least: float) -> Any:
    return None


class Sample(Check):
    """It holds."""

    type: Literal["test.sample"] = "test.sample"
    soon: bool = False
    needs: int = 0
    dtype: str = "float32"

    def unavailable(self):
        return ("magic",) if self.soon else ()

    def rows_needed(self, rows):
        return self.needs if rows < self.needs else None

    def plan(self, build):
        assert self.over is not None
        assert self.require is not None
        return build.add(
            judge,
            logits=build.logits(self.over, dtype=self.dtype),
            labels=build.labels(self.over),
            rows=build.selected(self.over, self.where),
            at_least=self.require.at_least,
        )


def sample(name: str, at_least: float = 0.5, **fields) -> Sample:
    return Sample(name=name, over=fields.pop("over", TEST), require=Require(metric="m", at_least=at_least), **fields)


@pytest.fixture(scope="module")
def subject():
    torch.manual_seed(0)
    x = torch.rand(20, 4)
    attributes = {
        "sex": np.array(["f", "m"] * 10),
        "age": np.arange(20),
        "old": np.arange(20) > 9,
        "code": np.array(["1", "2"] * 10),
    }
    return make_subject(
        nn.Linear(4, 3),
        x,
        torch.arange(20) % 3,
        classes=["cat", "dog", "eel"],
        attributes=attributes,
        train=(x[:5], torch.zeros(5)),
        sets={"pets": [["cat", "dog"]]},
        training={"epochs": 3},
    )


@pytest.fixture
def build(subject):
    return Builder(subject, common=COMMON, environment=environment("cpu"))


def plan(subject, *checks: Sample, **more):
    return plan_checks(
        {item.name: item for item in checks}, subject, common=COMMON, environment=environment("cpu"), **more
    )


def test_equal_questions_are_one_task_across_checks(subject):
    one = plan(subject, sample("a"))
    two = plan(subject, sample("a"), sample("b"))
    three = plan(subject, sample("a"), sample("b", 0.6))
    assert len(one.tasks) == len(two.tasks) == 6
    assert set(three.tasks) - set(one.tasks) == {three.judgements["b"].digest}
    assert two.judgements["a"] == two.judgements["b"]
    shared = [digest for digest, task in three.tasks.items() if task.op is COMMON.logits]
    assert three.checks_of[shared[0]] == ("a", "b")


def test_the_same_rows_in_other_words_are_the_same_task(build):
    assert (
        build.logits(TEST)
        == build.logits(Rows(data="test", rows=":20"))
        == build.logits(Rows(data="test", rows="0:99"))
    )
    assert build.logits(TEST) != build.logits(Rows(data="test", rows=":19"))
    assert build.logits(TEST) != build.logits(TEST, dtype="float64")
    assert build.selected(TEST, None) == build.selected(TEST, Where())


def test_planning_twice_gives_the_same_digests(subject):
    assert list(plan(subject, sample("a"), sample("b", where=Where(label="cat"))).tasks) == list(
        plan(subject, sample("a"), sample("b", where=Where(label="cat"))).tasks
    )


def test_inputs_come_before_what_needs_them_and_networkx_agrees(subject):
    import networkx as nx

    compiled = plan(subject, sample("a"), sample("b", dtype="float64", where=Where(correct=True)))
    seen = set()
    for digest, task in compiled.tasks.items():
        assert seen.issuperset(task.inputs)
        seen.add(digest)
    assert nx.is_directed_acyclic_graph(compiled.graph)
    ancestors = nx.ancestors(compiled.graph, compiled.judgements["a"].digest)
    assert {digest for digest, checks in compiled.checks_of.items() if "a" in checks} == {
        *ancestors,
        compiled.judgements["a"].digest,
    }


@pytest.mark.parametrize(
    ("over", "where", "count"),
    [
        (TEST, None, 20),
        (Rows(data="test", rows="::2"), None, 10),
        (Rows(data="test", rows="-3:"), None, 3),
        (Rows(data="train"), None, 5),
        (TEST, Where(label="cat"), 7),
        (TEST, Where(label=("cat", "eel")), 13),
        (Rows(data="test", rows=":3"), Where(label="dog"), 1),
        (TEST, Where(attributes={"sex": "f"}), 10),
        (TEST, Where(label="cat", attributes={"sex": "f", "old": True}), 2),
        (TEST, Where(attributes={"age": 3}), 1),
        (TEST, Where(attributes={"code": 1}), 10),
        (TEST, Where(prediction="cat"), None),
        (TEST, Where(correct=False), None),
    ],
)
def test_rows_are_counted_without_a_model(build, over, where, count):
    assert build.count(over, where) == count


def test_unknown_sources_and_attributes_are_named(build):
    with pytest.raises(UsageError, match=r"no data source 'val'; the spec declares test, train"):
        build.count(Rows(data="val"))
    with pytest.raises(DataError, match="no attribute 'height'; declared: sex, age, old, code"):
        build.count(TEST, Where(attributes={"height": 1}))


def test_classes_sets_and_training(build):
    assert build.class_index("dog") == 1
    assert build.class_sets("pets") == ((0, 1),)
    assert build.training() == {"epochs": 3}
    assert build.input_shape == (4,)
    with pytest.raises(TypeError, match="not an op"):
        build.add(len, x=1)
    with pytest.raises(ValueError, match="float16"):
        build.logits(TEST, dtype="float16")


def test_undecidable_and_unavailable_checks_are_listed_not_planned(subject):
    compiled = plan(
        subject, sample("ok"), sample("few", needs=21), sample("enough", needs=20), sample("later", soon=True)
    )
    assert list(compiled.judgements) == ["ok", "enough"]
    assert [str(item) for item in compiled.undecidable] == ["few: 20 rows cannot decide it; a pass takes at least 21"]
    assert [str(item) for item in compiled.unavailable] == ["later: not available yet: magic"]
    left = plan(subject, sample("ok"), sample("later", soon=True), exclude="later")
    assert (left.unavailable, left.left_out, left.selection) == ((), ("later",), "--exclude later")


def test_selection_keeps_only_the_tasks_it_needs(subject):
    compiled = plan(subject, sample("a"), sample("b", dtype="float64"), select="a")
    assert compiled.tasks.keys() == plan(subject, sample("a")).tasks.keys()
    assert compiled.left_out == ("b",)


def test_the_estimate_scales_with_rows_and_says_unknown(subject):
    compiled = plan(subject, sample("a"))
    blank = estimate(compiled, subject, cached=lambda digest: False)
    assert (blank.seconds, blank.timed, blank.computed) == (None, 0, 6)
    assert blank.memory == 4 * 20 * 4 + 4 * (4 * 3 + 3)
    timings = [Timing(COMMON.logits.name, "cpu", 10, 3.0), Timing(COMMON.logits.name, "cuda", 10, 99.0)]
    known = estimate(compiled, subject, cached=lambda digest: False, timings=timings)
    assert (known.seconds, known.timed) == (pytest.approx(6.0), 1)
    done = estimate(compiled, subject, cached=lambda digest: True)
    assert (done.seconds, done.computed, done.memory) == (0.0, 0, None)
    judged = compiled.judgements["a"].digest
    edited = estimate(compiled, subject, cached=lambda digest: digest != judged, timings=timings)
    assert [cost.digest for cost in edited.tasks if not cost.cached] == [judged]


def test_shares_sum_to_one(subject):
    compiled = plan(subject, sample("a"), sample("b", dtype="float64"))
    parts = shares(compiled, compiled.tasks, [Timing(COMMON.logits.name, "cpu", 20, 1000.0)])
    assert sum(parts.values()) == pytest.approx(1.0)
    assert shares(compiled, [], []) == {}


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_draws_every_node_and_survives_hostile_names(subject, format):
    import json
    from xml.etree import ElementTree

    compiled = plan(subject, sample('a"<script>&'), sample("b", dtype="float64"))
    text = draw(compiled, format, cached=lambda digest: digest == compiled.judgements["b"].digest)
    assert "<script>" not in text or format in ("dot", "json")
    edges = sum(len(task.inputs) for task in compiled.tasks.values())
    if format == "json":
        nodes = json.loads(text)["nodes"]
        assert {node["digest"] for node in nodes} == compiled.tasks.keys()
        assert [node["label"] for node in nodes if node["kind"] == "judgement"] == ['a"<script>&', "b"]
        assert [node["digest"] for node in nodes if node["cached"]] == [compiled.judgements["b"].digest]
    elif format == "svg":
        root = ElementTree.fromstring(text)
        names = [element.tag.rpartition("}")[2] for element in root.iter()]
        assert (names.count("rect"), names.count("path")) == (len(compiled.tasks), edges)
    else:
        assert text.count("-->" if format == "mermaid" else "->") == edges


def test_boxes_of_the_svg_do_not_overlap_and_lie_right_of_what_they_need(subject):
    from itertools import combinations

    from auditor.plan.drawing import drawn
    from auditor.plan.layered import HEIGHT, _heights, _layers, _neighbours, _ordered

    compiled = plan(subject, sample("a"), sample("b", dtype="float64", where=Where(correct=True)), sample("c", 0.9))
    nodes = {node.digest: node for node in drawn(compiled)}
    layers, bends = _layers(nodes)
    order = _ordered(layers, _neighbours(nodes, bends))
    column = {item: number for number, layer in enumerate(order) for item in layer}
    middles = _heights(order, nodes)
    assert all(column[source] < column[digest] for digest, node in nodes.items() for source in node.inputs)
    for layer in order:
        for one, two in combinations([item for item in layer if item in nodes], 2):
            assert abs(middles[one] - middles[two]) >= HEIGHT


def test_an_unknown_format_is_a_usage_error(subject):
    with pytest.raises(UsageError, match="use one of mermaid, dot, svg, json"):
        draw(plan(subject, sample("a")), "png")


@pytest.mark.parametrize(
    ("choice", "names"),
    [("cpu", ("cpu",)), ("cuda", ("cuda:0",)), ("cuda:1", ("cuda:1",)), ("cuda:0,cuda:1", ("cuda:0", "cuda:1"))],
)
def test_devices(choice, names):
    assert devices(choice) == names


@pytest.mark.parametrize("choice", ["gpu", "cuda:x", "cpu,cuda:0", "cuda:0,cuda:0", "", "cpu:1"])
def test_wrong_devices_are_usage_errors(choice):
    with pytest.raises(UsageError):
        devices(choice)


def test_auto_without_an_nvidia_driver_is_the_cpu_without_torch(monkeypatch):
    import auditor.plan.machine as module

    monkeypatch.setattr(module, "NVIDIA", ("/nonexistent",))
    monkeypatch.setitem(sys.modules, "torch", None)
    assert devices("auto") == ("cpu",)
