"""Rows that sources with different roles share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.errors import DataError
from auditor.sources import Part, manifest, overlaps, refuse_overlaps
from tests.sources.section import Source
from tests.sources.writing import huggingface, write

VALUES = st.lists(st.integers(0, 9), min_size=1, max_size=8)


def part(folder, name: str, role: str, x, rows: str | None = None, taken: str | None = None) -> Part:
    np.savez(folder / f"{name}.npz", x=np.asarray(x, dtype=np.float32)[:, None], y=np.zeros(len(x), np.int64))
    return Part(name, role, manifest(Source(f"{name}.npz", rows=rows), base=folder), taken)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=VALUES, second=VALUES)
def test_overlaps_are_the_equal_rows(first, second, tmp_path):
    a, b = part(tmp_path, "a", "member", first), part(tmp_path, "b", "non-member", second)
    found = overlaps([a, b])
    if a.manifest.sha256 == b.manifest.sha256:
        return
    expected = [(first.index(value), row) for row, value in enumerate(second) if value in first]
    assert [pair for overlap in found for pair in overlap.pairs] == expected


def test_one_role_may_share_rows(tmp_path):
    assert not overlaps([part(tmp_path, "a", "member", [1, 2]), part(tmp_path, "b", "member", [2, 3])])


def test_the_error_names_the_rows_of_both(tmp_path):
    parts = [part(tmp_path, "train", "member", [5, 6, 7]), part(tmp_path, "test", "non-member", [0, 7, 6])]
    with pytest.raises(
        DataError, match=r"member source 'train' and non-member source 'test' share 2 rows: 2 = 1, 1 = 2"
    ):
        refuse_overlaps(parts)


def test_rows_of_one_file_are_compared_by_number(tmp_path):
    same = manifest(Source("d.npz"), base=part(tmp_path, "d", "", [1, 1, 1, 1]).manifest.base)
    assert not overlaps([Part("test", "non-member", same, ":2"), Part("aux", "auxiliary", same, "2:")])
    (found,) = overlaps([Part("test", "non-member", same, ":3"), Part("aux", "auxiliary", same, "2:")])
    assert found.pairs == ((2, 2),)


def test_section_rows_are_counted_in_the_file(tmp_path):
    first = part(tmp_path, "a", "member", [0, 1, 2, 3], rows="2:")
    (found,) = overlaps([first, part(tmp_path, "b", "auxiliary", [3, 1, 9])])
    assert found.pairs == ((3, 0),)


def test_minus_zero_is_zero(tmp_path):
    found = overlaps([part(tmp_path, "a", "member", [0.0]), part(tmp_path, "b", "auxiliary", [-0.0])])
    assert len(found) == 1


def test_one_image_in_two_formats_is_one_row(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (4, 1, 5, 4), dtype=np.uint8)
    y = np.zeros(4, np.int64)
    first = manifest(str(huggingface(tmp_path / "a.parquet", x, y, ("cat",))), base=tmp_path, shape=(1, 5, 4))
    second = manifest(write("folder", tmp_path, x[2:], y[2:]), base=tmp_path, shape=(1, 5, 4), classes=("cat",))
    (found,) = overlaps([Part("a", "member", first), Part("b", "non-member", second)])
    assert found.pairs == ((2, 0), (3, 1))
