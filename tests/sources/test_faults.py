"""Inputs that cannot be audited are named by the number of their row in the file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.errors import DataError
from auditor.sources import manifest, read
from tests.sources.section import Source


def store(folder, x, y=None):
    np.savez(folder / "d.npz", x=np.asarray(x), y=np.zeros(len(x), np.int64) if y is None else y)
    return folder


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.sets(st.integers(0, 29), min_size=1, max_size=5),
    value=st.sampled_from([np.nan, np.inf, -np.inf]),
    start=st.integers(0, 10),
)
def test_not_finite_rows_are_named(rows, value, start, tmp_path):
    x = np.zeros((30, 3), np.float32)
    x[sorted(rows), 1] = value
    found = manifest(Source("d.npz", rows=f"{start}:"), base=store(tmp_path, x), range=(0, 1))
    within = sorted(row for row in rows if row >= start)
    if not within:
        assert len(read(found)) == 30 - start
        return
    with pytest.raises(DataError) as caught:
        read(found)
    assert caught.value.what.endswith(("in row " if len(within) == 1 else "in rows ") + ", ".join(map(str, within)))
    assert caught.value.what.startswith("d.npz: inputs are NaN or infinite")


def test_a_value_too_large_for_float32_is_infinite(tmp_path):
    found = manifest(Source("d.npz"), base=store(tmp_path, np.array([[0.0], [1e300]])))
    with pytest.raises(DataError, match="infinite in row 1"):
        read(found)


def test_out_of_range_rows_are_named_with_a_value(tmp_path):
    x = np.full((8, 2), 0.5)
    x[5, 1], x[2, 0] = 1.5, -0.25
    found = manifest(Source("d.npz"), base=store(tmp_path, x), range=(0, 1))
    with pytest.raises(DataError, match=r"range \[0, 1\] in rows 2, 5; row 2 holds -0.25"):
        read(found)
    assert len(read(found, "6:")) == 2


def test_the_ends_of_the_range_belong_to_it_in_float32(tmp_path):
    x = np.array([[0.1], [0.7]])  # neither is a float32
    assert len(read(manifest(Source("d.npz"), base=store(tmp_path, x), range=(0.1, 0.7)))) == 2


def test_many_bad_rows_are_counted_not_listed(tmp_path):
    found = manifest(Source("d.npz"), base=store(tmp_path, np.full((1000, 1), 2.0)), range=(0, 1))
    with pytest.raises(DataError, match=r"rows 0, 1, 2, 3, 4, … \(1000 in all\)"):
        read(found)


def test_a_wrong_shape_is_named_and_never_reshaped_by_chance(tmp_path):
    found = manifest(Source("d.npz"), base=store(tmp_path, np.zeros((4, 6, 6, 3))), shape=(3, 6, 6))
    with pytest.raises(
        DataError, match=r"rows 0, 1, 2, 3; row 0 is \[6, 6, 3\], expected \[3, 6, 6\] \(channels first\)"
    ):
        read(found)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3, 1, -1], r"label '-1', '3' is outside the classes, rows 1, 3; expected a class index from 0 to 2"),
        ([0.0, 1.5, 1.0, 2.0], r"labels are not whole numbers in row 1"),
    ],
)
def test_labels_outside_the_classes(labels, message, tmp_path):
    store(tmp_path, np.zeros((4, 1)), np.array(labels))
    with pytest.raises(DataError, match=message):
        manifest(Source("d.npz"), base=tmp_path, classes=("a", "b", "c")).labels()


def test_whole_numbers_index_and_names_name(tmp_path):
    store(tmp_path, np.zeros((3, 1)), np.array([0, 1, 1]))
    assert manifest(Source("d.npz"), base=tmp_path, classes=("1", "0")).labels().tolist() == [0, 1, 1]
    (tmp_path / "d.csv").write_text("a,label\n1,0\n1,1\n1,1\n")
    assert manifest(Source("d.csv"), base=tmp_path, classes=("1", "0")).labels().tolist() == [1, 0, 0]
    assert manifest(Source("d.csv"), base=tmp_path, classes=("no", "yes")).labels().tolist() == [0, 1, 1]
