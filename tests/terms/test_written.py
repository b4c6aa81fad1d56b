"""Option values and how a spec writes them: each is read back from its own writing, from JSON and from Python alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from auditor.tagged import written
from auditor.terms import (
    Affinity,
    AllOf,
    AnyOf,
    Attack,
    Border,
    Box,
    Distribution,
    Features,
    Gaussian,
    Guarantee,
    Linear,
    Mask,
    Not,
    Pgd,
    Point,
    Population,
    Region,
    Standard,
    TopK,
    Uniform,
)

NATURAL, NAME = st.integers(1, 50), st.text("abc_.:", min_size=1, max_size=5)
POSITIVE = st.floats(1e-6, 1e6)
PLACE = st.sampled_from(["input", "slice"])
INDICES = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple)
GUARANTEES = st.just(Standard()) | st.builds(TopK, NATURAL) | st.builds(Affinity, INDICES)
LEAVES = (
    st.builds(Box, st.tuples(*[NATURAL] * 4))
    | st.builds(Border, NATURAL)
    | st.builds(Mask, NAME)
    | st.builds(Features, st.lists(NAME, min_size=1, max_size=3).map(tuple))
)


def compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.builds(Not, inner) | st.builds(AnyOf, several) | st.builds(AllOf, several)


REGIONS = st.recursive(LEAVES, compound, max_leaves=6)
DISTRIBUTIONS = (
    st.just(Point())
    | st.builds(Linear, st.floats(-9, 9) | st.sampled_from(["mean", "blur", "zero.npy"]), PLACE)
    | st.builds(Gaussian, POSITIVE, NATURAL, PLACE)
    | st.builds(Uniform, NAME, st.floats(-9, 0), st.floats(1, 9), NATURAL, PLACE)
    | st.builds(Population, NAME, st.just(":9") | st.none(), PLACE)
)
ATTACKS = st.builds(Pgd, NATURAL, NATURAL, NATURAL, POSITIVE | st.none())
KINDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "guarantee": (Guarantee, GUARANTEES),
    "region": (Region, REGIONS),
    "distribution": (Distribution, DISTRIBUTIONS),
    "attack": (Attack, ATTACKS),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_what_is_written_is_read_back(kind: str, data: st.DataObject) -> None:
    annotation, values = KINDS[kind]
    adapter, value = TypeAdapter(annotation), data.draw(values)
    assert adapter.validate_json(json.dumps(written(value)), strict=True) == value
    assert adapter.validate_python(written(value)) == value
    assert adapter.validate_python(value) is value
    assert adapter.dump_python(value) == written(value)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (Guarantee, '"standard"', Standard()),
        (Guarantee, '{"top_k": 3}', TopK(3)),
        (Distribution, '"point"', Point()),
        (Distribution, '{"linear": {"baseline": 0, "in": "slice"}}', Linear(0.0, "slice")),
        (Region, '{"not": {"any": [{"border": 2}, {"border": 3}]}}', Not(AnyOf((Border(2), Border(3))))),
        (Region, '{"box": [0, 1, 2, 3]}', Box((0, 1, 2, 3))),
        (Attack, '"pgd"', Pgd()),
    ],
)
def test_forms_of_the_design(annotation: Any, text: str, value: Any) -> None:
    assert TypeAdapter(annotation).validate_json(text, strict=True) == value


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Guarantee, '"top_k"'),
        (Guarantee, '{"top_k": "3"}'),
        (Guarantee, '{"top_k": 3, "standard": {}}'),
        (Guarantee, "{}"),
        (Guarantee, "3"),
        (Distribution, '"linear"'),
        (Distribution, '{"linear": {"baseline": 0, "at": "slice"}}'),
        (Distribution, '{"uniform": {"feature": "age", "low": 2, "high": 1}}'),
        (Region, '{"border": true}'),
        (Region, '{"box": [0, 0, 4]}'),
        (Attack, '{"pgd": {"steps": 1.5}}'),
    ],
)
def test_what_is_not_meant_is_refused(annotation: Any, text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(annotation).validate_json(text, strict=True)
