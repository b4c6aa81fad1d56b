"""Which content a source is: pins, identity, class names, where files are looked for."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from auditor import digest
from auditor.errors import DataError, HashMismatch
from auditor.sources import find, manifest, read
from tests.sources.section import Source
from tests.sources.writing import CLASSES, huggingface


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "d.csv").write_text("a,b,label\n1,2,0\n3,4,1\n5,6,0\n")
    return tmp_path


def test_the_digest_is_what_sha256sum_prints(folder):
    expected = hashlib.sha256((folder / "d.csv").read_bytes()).hexdigest()
    assert manifest("d.csv", base=folder).sha256 == expected
    assert manifest(Source("d.csv", sha256=expected.upper()), base=folder).sha256 == expected
    with pytest.raises(HashMismatch, match=f"SHA-256 {expected}, the spec pins 00") as caught:
        manifest(Source("d.csv", sha256="00" * 32), base=folder)
    assert caught.value.exit_code == 3


def test_identity_is_content_and_options_without_the_path(folder):
    whole = manifest("d.csv", base=folder)
    (folder / "copy.csv").write_bytes((folder / "d.csv").read_bytes())
    assert digest.digest(manifest("copy.csv", base=folder)) == digest.digest(whole)
    for option in ({"rows": "1:"}, {"features": ("a",)}, {"attributes": ("b",)}, {"label": "b"}):
        assert digest.digest(manifest(Source("d.csv", **option), base=folder)) != digest.digest(whole)
    (folder / "copy.csv").write_text("a,b,label\n1,2,0\n3,4,1\n5,7,0\n")
    assert digest.digest(manifest("copy.csv", base=folder)) != digest.digest(whole)


def test_a_manifest_crosses_process_borders(folder):
    whole = manifest(Source("d.csv", attributes=("b",), rows="1:"), base=folder)
    whole.labels()
    copy = pickle.loads(pickle.dumps(whole))
    assert copy.identity() == whole.identity()
    np.testing.assert_array_equal(copy.read(), whole.read())
    assert copy.attributes()["b"].tolist() == [4, 6]


def test_a_file_that_changed_since_is_refused(folder):
    whole = pickle.loads(pickle.dumps(manifest("d.csv", base=folder)))
    (folder / "d.csv").write_text("a,b,label\n1,2,0\n3,4,1\n5,7,0\n")
    with pytest.raises(HashMismatch, match="has changed since"):
        read(whole)


def test_a_settled_file_is_hashed_once_and_a_rewritten_one_again(folder, monkeypatch):
    path = folder / "d.csv"
    hashed = []
    real = digest.file_digest
    monkeypatch.setattr(digest, "file_digest", lambda file: hashed.append(file) or real(file))
    digest.content_digest(path)
    digest.content_digest(path)
    assert len(hashed) == 2, "a file that has just changed is not trusted"
    monkeypatch.setattr(digest, "SETTLED_AFTER", -10.0)
    first = digest.content_digest(path)
    assert digest.content_digest(path) == first
    assert len(hashed) == 3
    before = os.stat(path)
    path.write_text(path.read_text().replace("6", "7"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(path).st_size == before.st_size
    assert digest.content_digest(path) != first


def test_class_names_of_the_file_must_be_the_specs(tmp_path):
    path = huggingface(tmp_path / "d.parquet", np.zeros((3, 1, 2, 2), np.uint8), np.arange(3))
    assert manifest(str(path), base=tmp_path, classes=CLASSES).class_names == CLASSES
    with pytest.raises(DataError, match=r"only the file has emu; only model.classes has yak") as caught:
        manifest(str(path), base=tmp_path, classes=("cat", "dog", "yak"))
    assert "[cat, dog, emu]" in str(caught.value)
    with pytest.raises(DataError, match=r"orders its classes cat, dog, emu; model.classes orders them dog, cat, emu"):
        manifest(str(path), base=tmp_path, classes=("dog", "cat", "emu"))


def test_files_are_looked_for_in_three_places_in_order(tmp_path, monkeypatch):
    cwd, data, base = (tmp_path / name for name in ("cwd", "data", "base"))
    for place in (cwd, data, base):
        place.mkdir()
        (place / "x.csv").touch()
    monkeypatch.chdir(cwd)
    monkeypatch.setenv("AUDITOR_DATA", str(data))
    for place in (cwd, data, base):
        assert find("x.csv", base) == place / "x.csv"
        (place / "x.csv").unlink()
    (base / "y.csv").touch()
    with pytest.raises(DataError) as caught:
        find("x.csv", base)
    text = str(caught.value)
    assert [line.strip().split()[0] for line in text.splitlines()[1:4]] == [str(p / "x.csv") for p in (cwd, data, base)]
    assert "did you mean 'y.csv'" in text
    assert caught.value.exit_code == 3


def test_a_callable_that_fails_or_returns_something_else(tmp_path):
    (tmp_path / "s.py").write_text("def bad():\n    return 3\ndef worse():\n    return 1 / 0\n")
    with pytest.raises(DataError, match=r"returned int, expected \(x, y\)"):
        manifest("s.py:bad", base=tmp_path)
    with pytest.raises(DataError, match="raised ZeroDivisionError"):
        manifest("s.py:worse", base=tmp_path)
    with pytest.raises(DataError, match=r"no callable 'good'\n  it has bad, worse"):
        manifest("s.py:good", base=tmp_path)


@pytest.mark.parametrize(("path", "message"), [("d.xyz", "no reader for the ending '.xyz'"), ("e.csv", "e.csv")])
def test_what_no_reader_takes(path, message, tmp_path):
    (tmp_path / path).touch()
    with pytest.raises(DataError, match=message):
        manifest(path, base=tmp_path)


def test_no_rows_are_an_error(folder):
    with pytest.raises(DataError, match="rows 9: of its 3 rows are none"):
        manifest(Source("d.csv", rows="9:"), base=folder)


def test_reading_needs_no_torch_and_no_scipy(folder):
    code = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['scipy'] = None\n"
        "from pathlib import Path\n"
        "from auditor.sources import manifest, read, overlaps, model_identity\n"
        f"print(read(manifest('d.csv', base=Path({str(folder)!r}))).inputs.shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(3, 2)"


def test_every_option_is_part_of_the_identity():
    """A new option that the identity forgets would let two different sources share a cache entry."""
    from auditor.sources.reader import Options

    named = {"rows", *(option.name for option in dataclasses.fields(Options))}
    sample = manifest("sklearn:iris", base=Path())
    assert named <= set(sample.identity())
