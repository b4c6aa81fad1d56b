"""The store keeps every value exactly, and its content can neither import nor call anything."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import sys
from collections import namedtuple

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from auditor.digest import canonical_json
from auditor.errors import RecordError
from auditor.records import Axis, Bars, EvidenceKind, Finding, ImageGrid, Mark, Status, Tile
from auditor.run.codec import Encoded, decode, encode
from auditor.terms import Affinity
from tests.run.ops import Pair


@dataclasses.dataclass(frozen=True)
class Point:
    at: tuple[int, ...]
    label: str = "p"


class Colour(enum.IntEnum):
    RED = 1


def through(value):
    parts = encode(value)
    skeleton = json.loads(json.dumps(parts.skeleton, allow_nan=False))
    return decode(parts._replace(skeleton=skeleton), modules=[__name__])


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.builds(Pair, inner, inner)
        | st.builds(Point, inner, st.text())
    ),
    max_leaves=20,
)


@given(values)
def test_plain_values_come_back_equal_and_of_the_same_type(value):
    back = through(value)
    assert repr(back) == repr(value)
    assert type(back) is type(value)


@given(
    hnp.arrays(
        st.sampled_from(["<f4", "<f8", "<f2", "<i8", "<i4", "u1", "?", "<U5"]), hnp.array_shapes(min_dims=0, min_side=0)
    )
)
def test_arrays_come_back_bit_for_bit(array):
    back = through({"a": array, "again": array})
    for found in back.values():
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert found.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(1.5),
        torch.empty(0, 3, dtype=torch.int64),
        torch.arange(6).reshape(2, 3).T,
        torch.ones(1, dtype=torch.bfloat16).expand(4),
        torch.tensor([math.nan, math.inf, -0.0], dtype=torch.float64),
        torch.nn.Parameter(torch.ones(2)),
        torch.tensor([True, False]),
    ],
)
def test_tensors_come_back_detached(tensor):
    back = through((tensor, [tensor]))
    for found in (back[0], back[1][0]):
        assert (found.dtype, found.shape, found.requires_grad) == (tensor.dtype, tensor.shape, False)
        assert torch.equal(
            found.contiguous().view(torch.uint8) if found.ndim else found, _bits(tensor) if found.ndim else tensor
        )


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous().view(torch.uint8)


def test_a_view_does_not_keep_the_whole_alive_and_inference_tensors_can_be_differentiated():
    whole = torch.zeros(1000)
    with torch.inference_mode():
        made = torch.ones(3)
    view, usable = through((whole[:2], made))
    assert view.untyped_storage().nbytes() == 8
    assert not usable.is_inference()
    (usable * torch.ones(3, requires_grad=True)).sum().backward()


def test_records_enums_tables_and_terms_come_back():
    finding = Finding(
        check="a",
        type="t",
        status=Status.PASS,
        evidence_kind=EvidenceKind.CERTIFIED,
        claim="c",
        metric="m",
        value=math.inf,
        metrics={"x": -math.inf, "per_class": {"a": [0.1, math.nan]}},
        evidence=(
            Bars(
                id="b",
                caption="B",
                x=Axis(label="x"),
                label="l",
                values=("v",),
                marks=(Mark(axis="x", value=0.1, label=""),),
            ),
            ImageGrid(id="i", caption="I", tiles=(Tile(image="x", title="t", boxes=((1, 2, 3, 4),)),)),
        ),
    )
    table = pa.table({"k": pa.array([[1], [2, 3]]), "s": pa.array(["a", None]).dictionary_encode()})
    value = [
        finding,
        table,
        Affinity(((0, 1),)),
        Colour.RED,
        np.float32(0.1),
        np.bool_(True),
        np.array(["x", "yy"], object),
    ]
    back = through(value)
    assert canonical_json(back[0]) == canonical_json(finding)
    assert isinstance(back[0].evidence[1], ImageGrid)
    assert back[1].equals(table)
    assert back[2:6] == value[2:6]
    assert [type(item) for item in back] == [type(item) for item in value]
    assert back[6].tolist() == ["x", "yy"]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [object()]}, r"value\.a\[0\]: a object"),
        (np.array([object()]), "ndarray of object"),
        (np.zeros(2, np.complex64), "ndarray of complex64"),
        (namedtuple("Local", "x")(lambda: 0), r"value\.x: a function"),
        ({1, 2}, "a set"),
    ],
)
def test_what_cannot_be_stored_is_named(value, place):
    with pytest.raises(TypeError, match=place):
        encode(value)


def test_a_type_defined_in_a_function_cannot_be_stored():
    @dataclasses.dataclass
    class Hidden:
        x: int

    with pytest.raises(TypeError, match="inside a function"):
        encode(Hidden(1))


@pytest.mark.parametrize(
    "skeleton",
    [
        {"$": "dataclass", "type": "os:system", "fields": [["command", "touch harmed"]]},
        {"$": "named", "type": "subprocess:Popen", "values": ["touch harmed"]},
        {"$": "model", "type": "antigravity:x", "fields": []},
        {"$": "dataclass", "type": "auditor.__main__:x", "fields": []},
        {"$": "named", "type": "auditor.run.store:os.system", "values": ["touch harmed"]},
        {"$": "dataclass", "type": "auditor.run.store:Store", "fields": [["root", "harmed"]]},
        {"$": "named", "type": "auditor.run.store:Path", "values": ["harmed"]},
        {"$": "dataclass", "type": "auditor.run.store:Store.write", "fields": []},
        {"$": "model", "type": "auditor.records:Finding", "fields": [["check", 1]]},
        {"$": "enum", "type": "auditor.records.finding:Status", "name": "mro"},
        {"$": "tensor", "key": "absent"},
        {"$": "bytes", "value": "not base64"},
        {"$": "unknown"},
        {"no": "tag"},
    ],
)
def test_a_hostile_skeleton_is_refused_without_effect(skeleton, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecordError):
        decode(Encoded([skeleton], {}, {}, {}), modules=[__name__])
    assert list(tmp_path.iterdir()) == []
    assert "antigravity" not in sys.modules


def test_modules_of_the_ops_package_are_not_imported_by_decoding(tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text("open('harmed', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RecordError, match="not loaded"):
        decode(Encoded({"$": "dataclass", "type": "planted:X", "fields": []}, {}, {}, {}), modules=["planted.other"])
    assert not (tmp_path / "harmed").exists()
