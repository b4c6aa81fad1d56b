"""One data set written in every format is read as the same rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from auditor.errors import DataError
from auditor.sources import manifest, read
from tests.sources.section import Source
from tests.sources.writing import CLASSES, huggingface, write

ROWS = 12


@pytest.fixture
def grey() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (ROWS, 1, 5, 4), dtype=np.uint8), np.sort(np.arange(ROWS, dtype=np.int64) % 3)


KINDS = ("parquet", "npz", "safetensors", "folder", "idx", "idx.gz", "callable")


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_rows(kind, grey, tmp_path):
    x, y = grey
    path = write(kind, tmp_path, x, y)
    found = manifest(Source(path), base=tmp_path, classes=CLASSES, shape=(1, 5, 4), range=(0, 1))
    batch = read(found)
    assert batch.inputs.dtype == np.float32
    assert batch.labels.dtype == np.int64
    np.testing.assert_array_equal(batch.inputs, x.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(batch.labels, y)
    np.testing.assert_array_equal(found.labels(), y)
    np.testing.assert_array_equal(batch.index, np.arange(ROWS))
    assert (found.rows, found.total) == (ROWS, ROWS)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_rows_are_slices_of_slices(kind, grey, tmp_path):
    x, y = grey
    found = manifest(Source(write(kind, tmp_path, x, y), rows="2::2"), base=tmp_path, classes=CLASSES, shape=(1, 5, 4))
    batch = read(found, "1:4")
    np.testing.assert_array_equal(batch.index, np.arange(ROWS)[2::2][1:4])
    np.testing.assert_array_equal(batch.inputs, x[2::2][1:4].astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(batch.labels, y[2::2][1:4])
    assert (found.rows, found.total) == (5, ROWS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_digest_depends_on_the_content_alone(kind, grey, tmp_path):
    x, y = grey
    digests = []
    changed = x.copy()
    changed[3, 0, 0, 0] ^= 1
    for name, inputs in (("a", x), ("b", x), ("c", changed)):
        (tmp_path / name).mkdir()
        digests.append(manifest(Source(write(kind, tmp_path / name, inputs, y)), base=tmp_path).sha256)
    if kind not in ("npz",):  # a zip archive holds the time it was written
        assert digests[0] == digests[1]
    assert digests[0] != digests[2]


@pytest.mark.parametrize("kind", ["parquet", "npz", "safetensors", "idx", "idx.gz"])
def test_a_cut_off_file_is_an_error_and_no_traceback(kind, grey, tmp_path):
    path = Path(write(kind, tmp_path, *grey))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=path.name.split("-")[0]):
        read(manifest(Source(str(path)), base=tmp_path, classes=CLASSES))


def test_images_are_channels_first_and_scaled_to_the_declared_range(tmp_path):
    x = np.zeros((1, 3, 2, 4), np.uint8)
    x[0, 0, 1, 3], x[0, 2, 0, 1] = 255, 51
    path = huggingface(tmp_path / "d.parquet", x, np.zeros(1, np.int64))
    unit = read(manifest(Source(str(path)), base=tmp_path)).inputs
    assert unit.shape == (1, 3, 2, 4)
    assert (unit[0, 0, 1, 3], unit[0, 2, 0, 1], unit[0, 1].max()) == (1.0, np.float32(0.2), 0.0)
    signed = read(manifest(Source(str(path)), base=tmp_path, range=(-1, 1))).inputs
    np.testing.assert_allclose(signed, 2 * unit - 1, atol=1e-6)
    assert (signed.min(), signed.max()) == (-1.0, 1.0)


def test_grey_is_widened_and_colour_is_never_narrowed(tmp_path):
    grey = np.arange(20, dtype=np.uint8).reshape(1, 1, 5, 4)
    colour = np.arange(60, dtype=np.uint8).reshape(1, 3, 5, 4)
    one, three = (
        Source(str(huggingface(tmp_path / name, x, np.zeros(1, np.int64))))
        for name, x in (("1.parquet", grey), ("3.parquet", colour))
    )
    wide = read(manifest(one, base=tmp_path, shape=(3, 5, 4))).inputs
    np.testing.assert_array_equal(wide, np.repeat(grey, 3, axis=1).astype(np.float32) / np.float32(255))
    with pytest.raises(DataError, match=r"row 0; row 0 is \[3, 5, 4\], expected \[1, 5, 4\]"):
        read(manifest(three, base=tmp_path, shape=(1, 5, 4)))


def test_broken_images_are_named_by_row(grey, tmp_path):
    path = huggingface(tmp_path / "d.parquet", *grey)
    table = pq.read_table(path)
    images = table["image"].to_pylist()
    images[7] = {"bytes": images[7]["bytes"][:30], "path": None}
    images[8] = {"bytes": None, "path": "elsewhere.png"}
    broken = table.set_column(0, "image", pa.array(images, table.schema.field("image").type))
    pq.write_table(broken, path)
    with pytest.raises(DataError, match="rows 7, 8; the first"):
        read(manifest(Source(str(path)), base=tmp_path, classes=CLASSES))
    assert len(read(manifest(Source(str(path), rows=":7"), base=tmp_path, classes=CLASSES))) == 7


def test_sixteen_bit_grey_keeps_its_depth(tmp_path):
    (tmp_path / "c" / "only").mkdir(parents=True)
    Image.fromarray(np.array([[0, 65535], [257, 1]], np.uint16)).save(tmp_path / "c" / "only" / "a.png")
    inputs = read(manifest(Source("c"), base=tmp_path, shape=(1, 2, 2))).inputs
    np.testing.assert_allclose(inputs[0, 0], np.array([[0, 1], [257 / 65535, 1 / 65535]]), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "rows", "shape", "classes"),
    [
        ("digits", 1797, (1, 8, 8), 10),
        ("iris", 150, (4,), 3),
        ("wine", 178, (13,), 3),
        ("breast_cancer", 569, (30,), 2),
    ],
)
def test_embedded_data(name, rows, shape, classes, tmp_path):
    found = manifest(Source(f"sklearn:{name}"), base=tmp_path)
    batch = read(found)
    assert batch.inputs.shape == (rows, *shape)
    assert len(np.unique(batch.labels)) == classes
    assert found.feature_names is None or len(found.feature_names) == shape[0]
    if name == "digits":
        assert (batch.inputs.min(), batch.inputs.max()) == (0.0, 1.0)
        assert set(np.unique(batch.inputs * 16)) == set(range(17))


def test_digits_flatten_for_a_model_of_vectors(tmp_path):
    flat = read(manifest(Source("sklearn:digits"), base=tmp_path, shape=(64,))).inputs
    image = read(manifest(Source("sklearn:digits"), base=tmp_path, shape=(1, 8, 8))).inputs
    np.testing.assert_array_equal(flat, image.reshape(-1, 64))
    with pytest.raises(DataError, match="wrong shape"):
        read(manifest(Source("sklearn:digits"), base=tmp_path, shape=(8, 1, 8)))


def test_an_unknown_embedded_name_gets_a_suggestion(tmp_path):
    with pytest.raises(DataError, match="did you mean sklearn:digits"):
        manifest(Source("sklearn:digit"), base=tmp_path)


def test_arrays_by_other_names_and_attributes(tmp_path):
    np.savez(tmp_path / "d.npz", images=np.eye(4), target=np.arange(4), sex=np.array(["f", "m", "f", "m"]))
    source = Source("d.npz", columns=("images", "target"), attributes=("sex",), rows="1:")
    batch = read(manifest(source, base=tmp_path))
    assert batch.attributes["sex"].tolist() == ["m", "f", "m"]
    with pytest.raises(DataError, match="holds no array 'x'; it holds images, target, sex"):
        manifest(Source("d.npz"), base=tmp_path)


def test_pickled_objects_in_npz_are_not_loaded(tmp_path):
    class Fires:
        def __reduce__(self):
            return (Path(tmp_path / "fired").touch, ())

    np.savez(tmp_path / "d.npz", x=np.array([Fires(), Fires()], dtype=object), y=np.arange(2))
    with pytest.raises(DataError, match="cannot be read"):
        manifest(Source("d.npz"), base=tmp_path)
    assert not (tmp_path / "fired").exists()
    np.load(tmp_path / "d.npz", allow_pickle=True)["x"]
    assert (tmp_path / "fired").exists()
