"""Bad specs: every problem is found in one pass, at the very place to correct, under its code.

A fixture's first lines say what to expect: `# expect: LINE:COLUMN CODE`, in order.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditor.checks.registry import discover
from auditor.errors import SpecErrors
from auditor.spec import load
from auditor.spec.codes import CODES
from auditor.spec.yaml import LARGEST

BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))
EXPECTED = re.compile(r"^# expect: (\d+):(\d+) ([a-z0-9-]+)$", re.MULTILINE)
WITHOUT_FIXTURE = {"too-large"}
TYPES = discover()

Place = tuple[int, int, str]


def expected(path: Path) -> list[Place]:
    text = path.read_bytes().decode("utf-8", "replace")
    return [(int(line), int(column), code) for line, column, code in EXPECTED.findall(text)]


def problems(path: Path) -> SpecErrors:
    with pytest.raises(SpecErrors) as caught:
        load(path, TYPES)
    return caught.value


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_problem_is_found_at_its_place(path: Path) -> None:
    found = problems(path).problems
    assert [(item.line, item.column, item.code) for item in found] == expected(path)
    for item in found:
        assert item.what
        assert item.file == path.as_posix()
        word = re.match("'([^']*)' is ", item.what)
        assert word is None or f"did you mean '{word[1]}'" not in (item.remedy or "")


def test_every_code_has_a_fixture_and_every_fixture_a_code() -> None:
    shown = {code for path in BAD for _, _, code in expected(path)}
    assert shown | WITHOUT_FIXTURE == set(CODES)
    assert not shown & WITHOUT_FIXTURE


def test_a_file_that_is_too_large_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text("auditor: 1\n" + "#" * LARGEST)
    (item,) = problems(path).problems
    assert (item.line, item.column, item.code) == (1, 1, "too-large")


def test_a_spec_that_does_not_exist(tmp_path: Path) -> None:
    (item,) = problems(tmp_path / "absent.yaml").problems
    assert (item.line, item.column, item.code) == (1, 1, "missing-file")


def test_an_error_of_an_included_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "common.yaml").write_text("defaults: {over: test}\nchecks:\n  robust:\n    epsilon: -1\n")
    main = tmp_path / "main.yaml"
    main.write_text(
        "auditor: 1\nname: small\ninclude: [common.yaml]\nmodel:\n  input: {shape: [4]}\n  classes: [no, yes]\n"
        "data: {test: a.npz}\nchecks:\n  robust:\n    type: robustness.certified\n"
        "    require: {metric: vra, at_least: 0.5}\n"
    )
    (item,) = problems(main).problems
    assert (item.file, item.line, item.column, item.code) == (
        (tmp_path / "common.yaml").as_posix(), 4, 14, "out-of-range",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fixture", "remedy"),
    [
        ("check-unknown-key", "'epsilon'"),
        ("check-unknown-type", "'quality.accuracy'"),
        ("check-metric", "'vra'"),
        ("quantity-against", "'dog'"),
        ("guarantee-unknown-set", "'pets'"),
        ("defaults-source", "'test'"),
        ("waiver-of-no-check", "'accuracy'"),
        ("extends-unknown", "'accuracy'"),
        ("variable-unknown", "'epsilon'"),
        ("unknown-section", "'waivers'"),
        ("model-unknown-key", "'normalize'"),
        ("source-unknown-key", "'label'"),
        ("check-severity", "'warn'"),
        ("distribution-word", "'linear'"),
        ("training-objective", "'gloro'"),
        ("training-schedule-key", "'from'"),
        ("training-momentum-of-adam", "lr, weight_decay"),
    ],
)
def test_a_misspelling_is_met_with_the_likely_word(fixture: str, remedy: str) -> None:
    (item,) = problems(Path(__file__).parent / "bad" / f"{fixture}.yaml").problems
    assert remedy in (item.remedy or "")


@pytest.mark.parametrize(
    ("fixture", "what", "remedy"),
    [
        ("check-epsilon-negative", "-0.1 should be greater than 0", None),
        ("check-epsilon-text", "expected a number, found the text '0.1'", "write 0.1 without quotes"),
        ("check-tags-not-a-list", "expected a list, found the text 'nightly'", "write [nightly]"),
        ("source-slice-number", "expected text, found the number 4500", 'write it in quotes: "4500"'),
        ("yaml-1.1-yes", "expected true or false, found the text 'yes'", None),
        ("budget-at-least", "'at_least' cannot be stated here", "remove it"),
        ("model-one-class", "a list of 1 stands here, expected at least 2", None),
        ("tag-python", "tag !!python/object/apply:os.system", "leave it out: a spec is plain data"),
    ],
)
def test_what_was_found_and_what_is_expected_are_said(fixture: str, what: str, remedy: str | None) -> None:
    (item,) = problems(Path(__file__).parent / "bad" / f"{fixture}.yaml").problems
    assert (item.what, item.remedy) == (what, remedy)
