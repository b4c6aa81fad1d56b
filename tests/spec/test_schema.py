"""The JSON Schema that editors use: it takes what loads, and marks what is misspelt, missing or of the wrong kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from auditor.checks.registry import discover
from auditor.spec import schema
from auditor.spec.yaml import read
from tests.spec.test_bad_specs import BAD, expected

GOOD = Path(__file__).parent / "good"
SPECS = Path(__file__).parents[2] / "specs"
SCHEMA = schema(discover())
VALIDATOR = Draft202012Validator(SCHEMA)
BEYOND_A_SCHEMA = {
    "check-epsilon-infinite",
    "check-without-rows",
    "concept-in-the-input",
    "criterion-two-quantifiers",
    "model-range-empty",
    "quantity-two",
    "threshold-hexadecimal-too-long",
    "threshold-infinite",
    "threshold-too-many-digits",
    "training-rate-to-zero",
    "training-without-epochs",
    "variable-wrong-type",
}
"""Relations between values, values of variables, and numbers beyond all floats, which JSON lacks."""
SEEN_BY_THE_SCHEMA = {"unknown-key", "wrong-type", "missing-key", "wrong-value", "out-of-range", "version"}


def plain(path: Path) -> Any:
    return read(path, path.name)[0].plain()


def test_it_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "path", [*sorted(GOOD.glob("*.yaml")), *sorted(SPECS.glob("*.yaml"))], ids=lambda path: path.stem
)
def test_it_takes_what_loads(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(plain(path))] == []


SEEN = [path for path in BAD if {code for _, _, code in expected(path)} <= SEEN_BY_THE_SCHEMA]


@pytest.mark.parametrize("path", SEEN, ids=lambda path: path.stem)
def test_it_marks_what_one_file_shows_to_be_wrong(path: Path) -> None:
    assert VALIDATOR.is_valid(plain(path)) == (path.stem in BEYOND_A_SCHEMA)


@pytest.mark.parametrize(("value", "valid"), [("${x}", True), ("x", False), (0.1, True), ("${x} more", False)])
def test_a_variable_stands_for_any_scalar(value: Any, valid: bool) -> None:
    spec = plain(GOOD / "composed.yaml")
    spec["checks"]["robust/standard"]["epsilon"] = value
    assert VALIDATOR.is_valid(spec) == valid
