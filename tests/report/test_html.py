"""The page: complete, readable without scripts and network, the same bytes for the same run, inert."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from auditor.records import Results, Status
from auditor.report import render
from tests.report.reading import Element, parse
from tests.report.sample import CLASSES, write_sample


@pytest.fixture(scope="module")
def tree(page: str) -> Element:
    return parse(page)


def heading_texts(tree: Element) -> list[str]:
    return [" ".join(heading.text().split()) for heading in tree.all("h1", "h2")]


def test_the_order_of_the_document(tree: Element) -> None:
    assert heading_texts(tree) == [
        "eurosat",
        "Blocked. Do not release.",
        "Contents",
        "Scope",
        "What ran",
        "Checks in full",
        "Checks in brief",
        "Class sets",
        "Waivers",
        "Regulation",
        "Provenance",
        "Glossary",
        "The spec",
        "Signature",
    ]


def test_every_finding_is_there_with_claim_and_status(tree: Element, results: Results) -> None:
    articles = {article.attributes["aria-label"]: " ".join(article.text().split()) for article in tree.all("article")}
    stances = {Status.PASS: "Claim holds", Status.FAIL: "Claim fails", Status.INCONCLUSIVE: "Claim not decided"}
    assert set(articles) == {finding.check for finding in results.findings}
    for finding in results.findings:
        text = articles[finding.check]
        assert finding.claim.rstrip(".") in text
        assert stances.get(finding.status, "Claim not examined") in text
        assert finding.rerun in text
        for limit in finding.limits:
            assert limit.replace("`", "") in text


def test_blocking_reasons_come_with_what_opens_the_gate(tree: Element, results: Results) -> None:
    (reasons,) = [item for item in tree.all("ol") if item.attributes.get("class") == "reasons"]
    entries = [" ".join(item.text().split()) for item in reasons.all("li")]
    assert [entry.split()[0] for entry in entries] == list(dict.fromkeys(r.check for r in results.verdict.reasons))
    assert "Opens when at least 386 of 417 rows hold" in entries[0]
    assert "Regressed" in entries[0]


def test_every_picture_has_words(tree: Element) -> None:
    pictures = [svg for svg in tree.all("svg") if svg.attributes.get("aria-hidden") != "true"]
    assert len(pictures) > 40
    for svg in pictures:
        assert svg.attributes["role"] == "img"
        assert svg.all("title")[0].text().strip()
    for bar in [div for div in tree.all("div") if "ibar" in div.attributes.get("class", "")]:
        assert bar.attributes["role"] == "img"
        assert bar.attributes["aria-label"]


def test_a_mark_without_words_stands_beside_its_word(tree: Element) -> None:
    for svg in tree.all("svg"):
        if svg.attributes.get("aria-hidden") == "true":
            assert svg.parent is not None
            assert svg.parent.text().strip()


def test_links_lead_somewhere_and_ids_are_unique(tree: Element, page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for link in tree.all("a"):
        href = link.attributes["href"]
        assert href.startswith("#")
        assert href[1:] in ids
    for name in re.findall(r"url\(#([^)]+)\)", page):
        assert name in ids


def test_headings_never_skip_a_level_downwards(tree: Element) -> None:
    levels = [int(heading.tag[1]) for heading in tree.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_nothing_is_loaded_and_nothing_runs(page: str, tree: Element) -> None:
    assert not tree.all("script", "link", "iframe", "object", "embed", "form")
    assert not [
        e for e in tree.all("svg", "a", "div", "span", "img", "body") if any(k.startswith("on") for k in e.attributes)
    ]
    without_names = re.sub(r'xmlns(:\w+)?=("|\')http://www\.w3\.org/[^"\']+("|\')', "", page)
    assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//", without_names)
    assert all(href.startswith(("data:", "#")) for href in re.findall(r'(?:href|src)="([^"]+)"', page))


def test_size(run_dir: Path) -> None:
    assert (run_dir / "report.html").stat().st_size < 10e6


def test_tables_are_cut_and_the_rest_is_named(page: str) -> None:
    assert "15 more rows in evidence/fair__amplification/long.parquet" in page
    assert "0.059" in page
    assert "0.060</td>" not in page


def test_same_run_same_bytes(run_dir: Path, tmp_path: Path) -> None:
    names = ["report.html", "junit.xml", "results.sarif", "summary.md"]
    write_sample(tmp_path)
    render(tmp_path, ["html", "junit", "sarif", "md"])
    svgs = sorted(path.relative_to(run_dir) for path in run_dir.rglob("*.svg"))
    assert svgs
    for name in [*names, *svgs]:
        assert (tmp_path / name).read_bytes() == (run_dir / name).read_bytes(), name


def test_passed(tmp_path: Path) -> None:
    write_sample(tmp_path, passed=True)
    (path,) = render(tmp_path, ["html"])
    text = path.read_text("utf-8")
    assert "Passed. A person signs before release." in text
    assert "Blocked" not in text
    assert 'class="reasons"' not in text


def test_spec_lines_of_blocking_checks_are_marked(tree: Element) -> None:
    marked = [span.text() for span in tree.all("span") if span.attributes.get("class") == "ln hl"]
    assert any("sound/river-not-border:" in line for line in marked)
    assert any("private/membership:" in line for line in marked)
    assert not any("accuracy:" in line for line in marked)


HOSTILE = "<script>alert(1)</script>"


def test_hostile_text_is_inert(tmp_path: Path) -> None:
    classes = (
        HOSTILE,
        '"><img src=x onerror=alert(1)>',
        "</style><script>x</script>",
        "{{ 7 * 7 }}",
        "a]]>b\x00\x1b",
        *CLASSES[5:],
    )
    results = write_sample(tmp_path, classes=classes)
    texts = {"type": f"../{HOSTILE}", "claim": f"{HOSTILE} `{HOSTILE}`", "summary": HOSTILE, "rerun": HOSTILE}
    hostile = results.model_copy(
        update={
            "spec": results.spec.model_copy(update={"name": f"'\"}}</style>{HOSTILE}", "text": HOSTILE}),
            "scope": results.scope.model_copy(update={"purpose": HOSTILE}),
            "findings": tuple(finding.model_copy(update=texts) for finding in results.findings),
        }
    )
    hostile.write(tmp_path / "results.json")
    render(tmp_path, ["html", "junit", "sarif", "md"])
    page = (tmp_path / "report.html").read_text("utf-8")
    tree = parse(page)
    assert not tree.all("script", "img")
    assert HOSTILE in tree.text()
    assert "49" not in {span.text() for span in tree.all("text")}
    assert page.count("</style>") == 1
    for svg in tmp_path.rglob("*.svg"):
        root = ElementTree.fromstring(svg.read_text("utf-8"))
        assert not [e for e in root.iter() if e.tag.endswith("script")]
    assert "<script" not in (tmp_path / "summary.md").read_text("utf-8")
    assert "<script" not in (tmp_path / "junit.xml").read_text("utf-8")


def test_redacted_pictures_are_blurred_in_page_and_file(run_dir: Path, tmp_path: Path) -> None:
    results = write_sample(tmp_path)
    open_scope = results.scope.model_copy(update={"report": {**results.scope.report, "redact": []}})
    results.model_copy(update={"scope": open_scope}).write(tmp_path / "results.json")
    render(tmp_path, ["html"])
    name = "evidence/private__inversion/pairs.svg"
    pictures = [
        re.findall(r'href="(data:[^"]+)"', (folder / name).read_text("utf-8")) for folder in (run_dir, tmp_path)
    ]
    blurred, sharp = pictures
    assert blurred[0::2] == sharp[0::2]
    assert all(one != other for one, other in zip(blurred[1::2], sharp[1::2], strict=True))
    page = (run_dir / "report.html").read_text("utf-8")
    assert "Blurred, as the spec’s redaction asks." in page
    assert not any(picture in page for picture in sharp[1::2])


def test_missing_evidence_is_said_and_holds_nothing_up(tmp_path: Path) -> None:
    write_sample(tmp_path)
    (tmp_path / "evidence/fair__amplification/rates.parquet").unlink()
    (tmp_path / "evidence/robust__standard/narrow-0.png").unlink()
    (path,) = render(tmp_path, ["html"])
    text = path.read_text("utf-8")
    assert text.count("Not drawn:") == 2


def test_evidence_outside_the_run_is_not_read(tmp_path: Path) -> None:
    results = write_sample(tmp_path / "run")
    secret = tmp_path / "secret.parquet"
    secret.write_bytes((tmp_path / "run/evidence/robust__standard/layers.parquet").read_bytes())
    finding = results.finding("robust/standard")
    stolen = tuple(
        item.model_copy(update={"id": "gone", "data": "../secret.parquet"}) if item.kind == "table" else item
        for item in finding.evidence
    )
    moved = tuple(f.model_copy(update={"evidence": stolen}) if f is finding else f for f in results.findings)
    results.model_copy(update={"findings": moved}).write(tmp_path / "run/results.json")
    (path,) = render(tmp_path / "run", ["html"])
    assert "Not drawn: ../secret.parquet is missing." in path.read_text("utf-8")
