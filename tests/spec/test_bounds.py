"""What a spec may cost: files that name each other, long lines of inheritance and bombs end soon, and in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.checks.registry import discover
from auditor.errors import SpecErrors, SpecProblem
from auditor.spec import load
from auditor.spec.composing import MOST_FILES
from auditor.spec.document import Document
from auditor.spec.loading import CHECK_NAME

TYPES = discover()
SPEC = """\
auditor: 1
name: small
model: {input: {shape: [4]}, classes: [cat, dog, owl]}
data: {test: a.npz}
defaults: {over: test}
checks:
  accuracy: {type: quality.accuracy, require: {metric: accuracy, at_least: 0.5}}
"""


def read(folder: Path, more: str = "", **files: str) -> Document:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    (folder / "spec.yaml").write_text(SPEC + more)
    return load(folder / "spec.yaml", TYPES)


def problems(folder: Path, more: str, **files: str) -> list[SpecProblem]:
    with pytest.raises(SpecErrors) as caught:
        read(folder, more, **files)
    return caught.value.problems


@pytest.mark.parametrize("backwards", [False, True])
def test_a_line_of_inheritance_may_be_long(tmp_path: Path, backwards: bool) -> None:
    count = 3000
    parents = ["accuracy", *(f"heir{number}" for number in range(count - 1))]
    lines = [f"  heir{number}: {{extends: {parent}}}\n" for number, parent in enumerate(parents)]
    document = read(tmp_path, "".join(lines[::-1] if backwards else lines))
    assert len(document.checks) == count + 1
    assert document.checks["heir2999"].threshold == document.checks["accuracy"].threshold


@pytest.mark.parametrize("each", [1, 2])
def test_includes_are_counted_before_they_are_read(tmp_path: Path, each: int) -> None:
    depth = 2 * MOST_FILES if each == 1 else 40
    files = {f"f{number}": f"include: [{', '.join([f'f{number + 1}.yaml'] * each)}]\n" for number in range(depth)}
    found = problems(tmp_path, "include: [f0.yaml]\n", **files, **{f"f{depth}": "gate: {}\n"})
    assert {item.code for item in found} == {"too-large"}


def test_files_of_class_sets_are_counted_too(tmp_path: Path) -> None:
    files = {
        f"f{number}": f"a: {{file: f{number + 1}.yaml}}\nb: {{file: f{number + 1}.yaml}}\n" for number in range(40)
    }
    found = problems(tmp_path, "sets: {many: {file: f0.yaml}}\n", **files, f40="a: [cat, dog]\n")
    assert {item.code for item in found} == {"too-large"}


def test_a_file_of_class_sets_that_names_itself(tmp_path: Path) -> None:
    (item,) = problems(tmp_path, "sets: {round: {file: round.yaml}}\n", round="again: {file: round.yaml}\n")
    assert (item.file, item.line, item.column, item.code) == ((tmp_path / "round.yaml").as_posix(), 1, 15, "cycle")


def test_files_of_class_sets_belong_to_the_spec(tmp_path: Path) -> None:
    document = read(tmp_path, "sets: {pets: {file: pets.yaml}}\n", pets="a: [cat, dog]\n")
    assert document.sets == {"pets": (("cat", "dog"),)}
    assert document.files == (tmp_path / "spec.yaml", tmp_path / "pets.yaml")


@pytest.mark.parametrize("name", ["a" * 5000, "a\\0b", ".", "absent.yaml"])
@pytest.mark.parametrize("section", ["include: {}\n", "sets: {{some: {{file: {}}}}}\n"])
def test_a_name_of_no_file(tmp_path: Path, section: str, name: str) -> None:
    (item,) = problems(tmp_path, section.format(f'"{name}"'))
    assert (item.line, item.code) == (8, "missing-file")


PART = st.text("ab_.-+1", max_size=4)


@given(st.lists(PART, max_size=3), st.lists(PART, max_size=3))
def test_folders_of_different_checks_differ(one: list[str], other: list[str]) -> None:
    names = ["/".join(parts) for parts in (one, other)]
    if any(not CHECK_NAME.fullmatch(name) or "__" in name for name in names):
        return
    folders = [name.replace("/", "__") for name in names]
    assert (folders[0] == folders[1]) == (names[0] == names[1])
    assert folders[0].replace("__", "/") == names[0] or "___" in folders[0]
