"""Tabular sources: features, encodings without leakage, missing values, attributes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from auditor.errors import DataError
from auditor.sources import manifest, read
from tests.sources.section import Source

TRAIN = "age,sex,work,hours,rich\n20,f,a,10,no\n30,m,b,20,yes\n46,f,c,33,no\n20,m,a,40,yes\n"
TEST = "age,sex,work,hours,rich\n90,m,b,1,yes\n10,f,a,99,no\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.csv").write_text(TRAIN)
    (tmp_path / "test.csv").write_text(TEST)
    return tmp_path


ENCODED = {"age": "standardise", "work": "one_hot"}


def encoded(name: str, **changes) -> Source:
    return Source(f"{name}.csv", label="rich", features=("work", "age"), encodings=ENCODED, **changes)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_statistics_come_from_train_whatever_is_read(folder, ending):
    if ending == "parquet":
        from pyarrow import csv

        for name in ("train", "test"):
            pq.write_table(csv.read_csv(folder / f"{name}.csv"), folder / f"{name}.parquet")
    sources = {
        name: Source(f"{name}.{ending}", label="rich", features=("work", "age"), encodings=ENCODED)
        for name in ("train", "test")
    }
    age = StandardScaler().fit(np.array([[20], [30], [46], [20]], float))
    work = OneHotEncoder(sparse_output=False).fit(np.array([["a"], ["b"], ["c"], ["a"]]))
    for name, ages, works in (("train", [20, 30, 46, 20], "abca"), ("test", [90, 10], "ba")):
        found = manifest(sources[name], base=folder, classes=("no", "yes"), data=sources)
        expected = np.hstack(
            [work.transform(np.array(list(works))[:, None]), age.transform(np.array(ages, float)[:, None])]
        )
        np.testing.assert_allclose(read(found).inputs, expected, rtol=1e-6)
        assert found.feature_names == ("work=a", "work=b", "work=c", "age")
        assert dict(found.feature_groups) == {"work": (0, 1, 2), "age": (3,)}


def test_statistics_follow_the_rows_of_train(folder):
    sources = {"train": encoded("train", rows=":2"), "test": encoded("test", rows=":1")}
    found = manifest(sources["test"], base=folder, data=sources)
    np.testing.assert_allclose(read(found).inputs, [[0, 1, (90 - 25) / 5]])
    assert found.identity() != manifest(sources["test"], base=folder, data={"train": encoded("train")}).identity()


def test_without_train_statistics_must_be_declared(folder):
    with pytest.raises(DataError, match="does not declare"):
        manifest(encoded("test"), base=folder)
    declared = {"age": {"standardise": {"mean": 10, "std": 4}}, "work": {"one_hot": ["b", "a"]}}
    source = Source("test.csv", label="rich", features=("age", "work"), encodings=declared)
    np.testing.assert_array_equal(read(manifest(source, base=folder)).inputs, [[20, 1, 0], [0, 0, 1]])


def test_a_category_train_never_had_is_named(folder):
    (folder / "test.csv").write_text(TEST + "50,f,zzz,1,no\n")
    sources = {"train": encoded("train"), "test": encoded("test")}
    with pytest.raises(DataError, match="'work': zzz is no category of its one-hot encoding, row 2"):
        read(manifest(sources["test"], base=folder, data=sources))


def test_an_attribute_is_an_input_only_if_features_say_so(folder):
    numbers = ("age", "hours")
    plain = manifest(
        Source("train.csv", label="rich", columns=(*numbers, "sex", "rich"), attributes=("sex",)), base=folder
    )
    assert plain.feature_names == numbers
    assert plain.attributes()["sex"].tolist() == ["f", "m", "f", "m"]
    both = Source(
        "train.csv",
        label="rich",
        features=("hours", "sex"),
        encodings={"sex": {"one_hot": ["f", "m"]}},
        attributes=("sex",),
    )
    batch = read(manifest(both, base=folder), ":2")
    np.testing.assert_array_equal(batch.inputs, [[10, 1, 0], [20, 0, 1]])
    assert batch.attributes["sex"].tolist() == ["f", "m"]


def test_text_labels_map_by_the_spec_classes(folder):
    source = Source("train.csv", label="rich", features=("age",))
    assert manifest(source, base=folder, classes=("yes", "no")).labels().tolist() == [1, 0, 1, 0]
    message = r"label 'no' is outside the classes, rows 0, 2; expected one of non, yes"
    with pytest.raises(DataError, match=message) as caught:
        manifest(source, base=folder, classes=("non", "yes")).labels()
    assert "did you mean 'non'" in str(caught.value)


def test_missing_values_are_named_by_column_and_row(tmp_path):
    (tmp_path / "d.csv").write_text("a,b,c,y\n1,x,1,0\n,x,2,1\n3,,3,0\nNaN,z,4,1\n")
    source = Source("d.csv", label="y", features=("a", "b", "c"), encodings={"b": {"one_hot": ["x", "z"]}})
    with pytest.raises(DataError, match=r"(?s)a: rows 1, 3.*b: row 2"):
        read(manifest(source, base=tmp_path))
    assert len(read(manifest(source, base=tmp_path), ":1")) == 1
    (tmp_path / "l.csv").write_text("a,y\n1,0\n2,\n")
    with pytest.raises(DataError, match="the label is missing in row 1"):
        manifest(Source("l.csv", label="y"), base=tmp_path).labels()


AGE = {"label": "rich", "features": ("age",)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": None}, r"label names no column; columns are age, sex"),
        ({"label": "rihc"}, "there is no column 'rihc'"),
        ({**AGE, "features": ("aeg",)}, "did you mean 'age'"),
        ({**AGE, "features": ("age", "rich")}, "the label 'rich' is among the features"),
        ({**AGE, "attributes": ("sxe",)}, "did you mean 'sex'"),
        ({**AGE, "encodings": {"hours": {"one_hot": [1]}}}, "hours, which is no feature"),
        ({**AGE, "encodings": {"age": "normalise"}}, "write standardise or one_hot"),
        ({**AGE, "encodings": {"age": {"standardise": {"mean": 0, "std": 0}}}}, "std > 0"),
    ],
)
def test_wrong_columns_are_named(folder, changes, message):
    with pytest.raises(DataError, match=message):
        manifest(Source("train.csv", **changes), base=folder)


def test_text_without_an_encoding_is_named(folder):
    with pytest.raises(DataError, match=r"column 'sex' holds text \('f', 'm'\)"):
        read(manifest(Source("train.csv", label="rich"), base=folder))


def test_a_repeated_column_is_an_error(tmp_path):
    (tmp_path / "d.csv").write_text("a,a,y\n1,2,0\n")
    with pytest.raises(DataError, match="column a occurs more than once"):
        manifest(Source("d.csv", label="y"), base=tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=12),
    cut=st.tuples(st.integers(-15, 15), st.integers(-15, 15), st.integers(1, 4)),
)
def test_rows_are_python_slices(values, cut, tmp_path):
    pq.write_table(pa.table({"a": values, "label": [0] * len(values)}), tmp_path / "d.parquet")
    text = ":".join(map(str, cut))
    expected = values[slice(*cut)]
    if not expected:
        with pytest.raises(DataError, match="are none"):
            manifest(Source("d.parquet", rows=text), base=tmp_path)
        return
    found = manifest(Source("d.parquet", rows=text), base=tmp_path)
    assert found.rows == len(expected)
    assert read(found).inputs[:, 0].tolist() == expected
    whole = manifest(Source("d.parquet"), base=tmp_path)
    assert read(whole, text).inputs[:, 0].tolist() == expected
