"""The PDF: tagged, well filled, the same bytes, loading nothing; and what happens where Pango is missing."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import pytest

from auditor.errors import RenderError
from auditor.report import pdf, render
from tests.report.conftest import requires_pango
from tests.report.sample import write_sample


def strings(data: bytes) -> bytes:
    """The file with every compressed stream unpacked."""
    parts = [data]
    for match in re.finditer(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        try:
            parts.append(zlib.decompress(match[1]))
        except zlib.error:
            continue
    return b"\n".join(parts)


@requires_pango
@pytest.mark.pango
@pytest.mark.slow
def test_tagged_titled_and_the_same_twice(tmp_path: Path) -> None:
    results = write_sample(tmp_path)
    results.model_copy(update={"findings": results.findings[1:8]}).write(tmp_path / "results.json")
    render(tmp_path, ["pdf"])
    first = (tmp_path / "report.pdf").read_bytes()
    render(tmp_path, ["pdf"])
    assert (tmp_path / "report.pdf").read_bytes() == first
    text = strings(first)
    assert b"/MarkInfo" in text
    assert b"/StructTreeRoot" in text
    assert b"pdfuaid:part" in text
    assert b"/Lang" in text
    assert len(first) < 5e6
    for face in (b"Inter", b"JetBrains"):
        assert face in text
    assert b"/Figure" in text
    assert b"/JavaScript" not in text


def lowest(box: Any) -> float:
    """The lower edge of the last text or picture in a laid-out box."""
    own = box.position_y + box.height if type(box).__name__ in {"TextBox", "BlockReplacedBox"} else 0.0
    return max([own, *(lowest(inner) for inner in getattr(box, "children", ()))])


@requires_pango
@pytest.mark.pango
@pytest.mark.slow
def test_no_page_but_the_last_is_nearly_empty_and_bookmarks_name_the_checks(page: str) -> None:
    import weasyprint

    with pdf._quiet():
        laid_out = weasyprint.HTML(string=page).render()
    (title, _, chapters, _), *_ = laid_out.make_bookmark_tree()
    assert title == "eurosat"
    entries = {chapter: [label for label, *_ in below] for chapter, _, below, _ in chapters}
    assert list(entries)[-1] == "Signature"
    assert "robust/standard: Claim holds" in entries["Checks in full"]
    assert "private/membership: Claim not decided" in entries["Checks in full"]
    pages = [sheet._page_box for sheet in laid_out.pages]
    filled = [
        max(lowest(box) - sheet.content_box_y() for box in sheet.children if type(box).__name__ != "MarginBox")
        / sheet.height
        for sheet in pages[1:-1]
    ]
    assert len(filled) > 10
    assert {number: share for number, share in enumerate(filled, 2) if share < 0.3} == {}
    assert max(filled) <= 1.0


@requires_pango
@pytest.mark.pango
def test_fetches_nothing_but_data() -> None:
    from weasyprint.urls import FatalURLFetchingError

    fetcher = pdf._only_our_own()
    for url in ("https://example.org/x.css", "http://localhost/", "file:///etc/passwd", "ftp://example.org/x"):
        with pytest.raises(FatalURLFetchingError, match="may not load"):
            fetcher.fetch(url)
    assert fetcher.fetch("data:text/plain,hello").read() == b"hello"


def test_without_pango_everything_else_is_written_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "available", lambda: "cannot load library 'libpango-1.0-0'")
    write_sample(tmp_path)
    with pytest.raises(RenderError) as caught:
        render(tmp_path, ["pdf", "html", "junit"])
    assert caught.value.exit_code == 5
    for name in ("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0", "auditor doctor"):
        assert name in str(caught.value)
    assert (tmp_path / "report.html").exists()
    assert (tmp_path / "junit.xml").exists()
    assert not (tmp_path / "report.pdf").exists()


def test_without_pango_nobody_who_wants_no_pdf_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "available", lambda: "cannot load library 'libpango-1.0-0'")
    write_sample(tmp_path)
    assert [path.name for path in render(tmp_path, ["html", "json"])] == ["report.html", "results.json"]


def test_unknown_variant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "available", lambda: None)
    write_sample(tmp_path)
    with pytest.raises(RenderError, match="pdf/x"):
        render(tmp_path, ["pdf"], pdf_variant="pdf/x")


@requires_pango
@pytest.mark.pango
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # WeasyPrint leaves its ICC profile open
def test_the_archive_variant_carries_the_results(tmp_path: Path) -> None:
    results = write_sample(tmp_path, passed=True)
    few = results.model_copy(
        update={"findings": results.findings[:1], "scope": results.scope.model_copy(update={"report": {}})}
    )
    few.write(tmp_path / "results.json")
    render(tmp_path, ["pdf"], pdf_variant="pdf/a-3a")
    text = strings((tmp_path / "report.pdf").read_bytes())
    assert b"pdfaid:part" in text
    assert b"/EmbeddedFiles" in text
    assert b"auditor-results/1" in text
