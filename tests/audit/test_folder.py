"""The output folder: exactly where it was asked for, only what is ours replaced, never a mixture of two runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from auditor.audit.folder import PENDING, claim, default_folder, release, write_evidence
from auditor.errors import UsageError
from auditor.records import Column, EvidenceKind, Finding, ImageGrid, Judgement, Note, Status, Table, Tile


def judgement(check: str, *ids: str, images: tuple[str, ...] = ()) -> Judgement:
    evidence = (
        *(Table(id=id_, caption="A table.", columns=(Column(name="index", label="Row"),)) for id_ in ids),
        *(ImageGrid(id=id_, caption="A picture.", tiles=(Tile(image=id_, title="t"),)) for id_ in images),
        Note(id="said", caption="A note.", text="n"),
    )
    finding = Finding(
        check=check,
        type="quality.accuracy",
        status=Status.PASS,
        evidence_kind=EvidenceKind.MEASURED,
        claim="c",
        metric="accuracy",
        evidence=evidence,
    )
    tables = {id_: pa.table({"index": [1, 2]}) for id_ in ("points", *ids)}
    return Judgement(finding, tables, {id_: np.zeros((4, 4, 3), np.uint8) for id_ in images})


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_layout_is_the_contract_s(tmp_path: Path) -> None:
    findings = write_evidence(
        tmp_path, {"robust/top-3": judgement("robust/top-3", "by_class", images=("worst",))}, model="0" * 64
    )
    assert files(tmp_path) == [
        "evidence/robust__top-3/by_class.parquet",
        "evidence/robust__top-3/points.parquet",
        "evidence/robust__top-3/worst.png",
    ]
    table, picture, note = findings["robust/top-3"].evidence
    assert table.data == "evidence/robust__top-3/by_class.parquet"
    assert picture.picture == "evidence/robust__top-3/worst.png"
    assert note.data is None
    assert pyarrow.parquet.read_table(tmp_path / table.data).column_names == ["index"]


def test_stale_parts_of_an_earlier_run_go_and_nothing_else(tmp_path: Path) -> None:
    write_evidence(tmp_path, {"a": judgement("a", "one"), "gone": judgement("gone")}, model="0" * 64)
    for name in ("results.json", "report.html", "report.pdf", "notes.txt", "evidence/readme.md", "evidence/a/mine.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "evidence/a/old.svg").write_text("x")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train.parquet").write_text("x")
    write_evidence(tmp_path, {"a": judgement("a", "two")}, model="0" * 64)
    assert files(tmp_path) == [
        "data/train.parquet",
        "evidence/a/mine.txt",
        "evidence/a/points.parquet",
        "evidence/a/two.parquet",
        "evidence/readme.md",
        "notes.txt",
    ]


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "run"
    outside.mkdir()
    (outside / "keep.parquet").write_text("x")
    (folder / "evidence").mkdir(parents=True)
    (folder / "evidence" / "b").symlink_to(outside)
    write_evidence(folder, {"a": judgement("a")}, model="0" * 64)
    assert files(outside) == ["keep.parquet"]


class TestClaim:
    def test_a_new_or_empty_folder_is_taken(self, tmp_path: Path) -> None:
        claim(tmp_path / "deep" / "new")
        claim(tmp_path / "deep" / "new")
        assert files(tmp_path) == [f"deep/new/{PENDING}"]

    def test_a_run_killed_half_way_may_be_repeated(self, tmp_path: Path) -> None:
        claim(tmp_path)
        write_evidence(tmp_path, {"a": judgement("a")}, model="0" * 64)
        claim(tmp_path)

    def test_an_earlier_run_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "results.json").write_text("{}")
        (tmp_path / "report.html").write_text("x")
        claim(tmp_path)

    def test_a_folder_of_other_things_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("x")
        with pytest.raises(UsageError, match=r"holds other things \(thesis\.tex\)"):
            claim(tmp_path)
        assert files(tmp_path) == ["thesis.tex"]

    def test_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("x")
        with pytest.raises(UsageError, match="is a file"):
            claim(tmp_path / "x")

    def test_a_place_that_cannot_be_written_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("x")
        with pytest.raises(UsageError, match="cannot be written"):
            claim(tmp_path / "x" / "below")

    def test_a_claim_without_results_leaves_no_folder(self, tmp_path: Path) -> None:
        claim(tmp_path / "new")
        release(tmp_path / "new")
        assert not (tmp_path / "new").exists()
        (tmp_path / "results.json").write_text("{}")
        claim(tmp_path)
        release(tmp_path)
        assert files(tmp_path) == ["results.json"]


def test_default_folder() -> None:
    assert default_folder("eurosat", "0123456789abcdef").as_posix() == "reports/eurosat-01234567"
