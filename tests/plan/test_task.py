"""A task's digest holds everything its value depends on, and nothing else."""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass

import pytest

from auditor.plan.machine import Environment
from auditor.plan.op import Op, find, op
from auditor.plan.task import make_task, refs, with_values
from auditor.spec.builder import Ref
from auditor.terms import Standard, TopK

HERE = Environment("2.13.0", "cpu")


@dataclass(frozen=True)
class File:
    path: str
    sha256: str

    def identity(self):
        return {"sha256": self.sha256}


@op(version=1)
def plain(*, x, norm="l2", extra=None):
    return x


@op(version=1, device=True)
def on_device(*, x, device, progress):
    return x


def digest(operation=plain, environment=HERE, **parameters) -> str:
    return make_task(operation, parameters, environment).digest


def test_defaults_and_order_of_keywords_do_not_matter():
    assert digest(x=1) == digest(norm="l2", x=1, extra=None)
    assert digest(x=(1, 2)) == digest(x=[1, 2])
    assert digest(x={"a": 1, "b": 2}) == digest(x={"b": 2, "a": 1})


def test_everything_else_does():
    bumped = Op(plain.function, version=2)
    ref = Ref("0" * 64)
    values = [
        1,
        1.0,
        True,
        "1",
        None,
        [1],
        {"a": 1},
        float("inf"),
        "inf-",
        Standard(),
        TopK(1),
        TopK(2),
        ref,
        ref.digest,
    ]
    digests = [digest(x=value) for value in values]
    digests += [digest(x={"kind": "Ref", "digest": ref.digest}), digest(x={"map": {"a": 1}})]
    digests += [digest(x=1, norm="linf"), digest(bumped, x=1), digest(on_device, x=1)]
    assert len(set(digests)) == len(digests)


def test_paths_are_no_part_of_it():
    assert digest(x=File("a", "1")) == digest(x=File("b", "1"))
    assert digest(x=File("a", "1")) != digest(x=File("a", "2"))


def test_torch_and_device_count_for_device_ops_only():
    for other in (Environment("2.14.0", "cpu"), Environment("2.13.0", "cuda")):
        assert digest(on_device, other, x=1) != digest(on_device, x=1)
        assert digest(plain, other, x=1) == digest(plain, x=1)


def test_the_digest_is_the_same_in_every_process_and_version():
    assert digest(x=Ref("ab")) == digest(x=Ref("ab"))
    pinned = make_task(plain, {"x": 0.1}, HERE)
    assert re.fullmatch("[0-9a-f]{64}", pinned.digest)
    assert pickle.loads(pickle.dumps(pinned)) == pinned


def test_refs_are_found_and_replaced_at_any_depth():
    value = {"a": Ref("1"), "b": [(Ref("2"), 3), Ref("1")]}
    assert list(refs(value)) == ["1", "2", "1"]
    assert with_values(value, lambda key: key * 2) == {"a": "11", "b": [("22", 3), "11"]}
    assert make_task(plain, {"x": value}, HERE).inputs == ("1", "2")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "x"),
        ({"x": 1, "y": 2}, "y"),
        ({"x": object()}, "object has no canonical JSON form"),
        ({"x": {1: 2}}, "strings"),
    ],
)
def test_a_wrong_call_is_an_error_that_names_the_op(parameters, message):
    with pytest.raises(TypeError, match=f"plain.*{message}"):
        make_task(plain, parameters, HERE)


def test_injected_keywords_are_no_parameters():
    assert on_device.injected == {"device", "progress"}
    with pytest.raises(TypeError, match="device"):
        make_task(on_device, {"x": 1, "device": "cpu"}, HERE)


def test_ops_are_found_by_name():
    assert pickle.loads(pickle.dumps(plain)) is plain
    with pytest.raises(LookupError):
        find(f"{__name__}:digest")
