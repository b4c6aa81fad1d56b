"""Specs as people write them: they load, and mean what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.checks.registry import discover
from auditor.spec import load
from auditor.spec.document import Document
from auditor.spec.guarantee import AffinitySets
from auditor.terms import Standard, TopK

FOLDER = Path(__file__).parent / "good"
SPECS = Path(__file__).parents[2] / "specs"
TYPES = discover()


def read(name: str) -> Document:
    return load(FOLDER / f"{name}.yaml", TYPES)


@pytest.mark.parametrize(
    "path", [*sorted(FOLDER.glob("*.yaml")), *sorted(SPECS.glob("*.yaml"))], ids=lambda path: path.stem
)
def test_a_good_spec_loads_with_everything_filled_in(path: Path) -> None:
    document = load(path, TYPES)
    assert list(document.places) == list(document.checks)
    for name, check in document.checks.items():
        assert check.name == name
        assert check.over is not None
        assert check.over.data in document.data
        assert check.claim_text().strip()
    assert load(path, TYPES) == document


def test_the_smallest_spec_has_the_defaults() -> None:
    document = read("smallest")
    check = document.checks["accuracy"]
    assert (check.confidence, check.seed, check.severity, check.claim) == (0.95, 0, "error", "population")
    assert document.gate.block_on == ("fail", "inconclusive", "error")
    assert document.places["accuracy"].line == 8


def test_words_mean_what_they_look_like() -> None:
    document = read("words-of-yaml-1.1")
    assert document.purpose == "on"
    assert document.model.classes == ("yes", "no", "on", "off", "y", "n")
    assert document.model.input.range == (-1.0, 1.0)
    assert document.data["test"].path == "data/12:30.npz"
    assert document.training is not None
    assert (document.training.epochs, document.training.batch_size) == (15, 16)
    assert document.training.optimizer.lr == 1e-5
    robust = document.checks["robust"]
    assert (robust.epsilon, robust.seed, robust.over.rows) == (1e-3, 123, "1:30")
    assert robust.tags == ("12:30", "2026-11-20", "off")
    assert robust.where.label == "on"
    (waiver,) = document.waivers
    assert (waiver.reason, waiver.owner, waiver.granted, waiver.expires) == ("no", "y", "2026-11-20", "2027-06-30")


def test_composition() -> None:
    document = read("composed")
    assert document.model.classes == ("cat", "dog", "owl")
    assert document.model.input.shape == (1, 8, 8)
    assert document.gate.regression == 0.01
    assert [path.name for path in document.files] == ["composed.yaml", "common.yaml", "later.yaml"]
    checks = document.checks
    assert checks["accuracy"].require.at_least == 0.9
    standard, top, budget = (checks[f"robust/{name}"] for name in ("standard", "top-2", "budget"))
    assert standard.epsilon == top.epsilon == budget.epsilon == 0.2
    assert (standard.guarantee, top.guarantee, budget.guarantee) == (Standard(), TopK(2), TopK(2))
    assert checks["robust/pets"].guarantee == AffinitySets("pets")
    assert (standard.require.at_least, top.require.at_least) == (0.5, 0.7)
    assert top.require.metric == "vra"
    assert budget.require is None
    assert (standard.why, standard.tags) == ("Noise.", ("nightly",))
    assert (top.why, top.tags) == (None, ())


def test_the_hash_is_that_of_the_meaning(tmp_path: Path) -> None:
    text = (FOLDER / "smallest.yaml").read_text()
    other = tmp_path / "other.yaml"
    other.write_text("# a remark\n" + text.replace("{shape: [4]}", "\n    shape:\n    - 4"))
    assert load(other, TYPES).sha256 == read("smallest").sha256
    other.write_text(text.replace("0.9", "0.91"))
    assert load(other, TYPES).sha256 != read("smallest").sha256


def test_class_sets_are_written_out() -> None:
    sets = read("class-sets").sets
    assert sets["plain"] == (("weak-left", "left"),)
    assert sets["each"] == (
        ("clear", "left", "right"), ("weak-left", "left", "right"), ("left", "right"), ("left", "weak-right", "right"),
    )  # fmt: skip
    assert sets["chain"] == (
        ("weak-left", "left"), ("clear", "weak-left"), ("clear", "weak-right"), ("weak-right", "right"),
    )  # fmt: skip
    assert sets["any"] == (("weak-left", "left"), ("clear", "weak-left"), ("weak-right", "right"))
    assert sets["file"] == (("weak-left", "left"), ("weak-right", "right"))


def test_eurosat_is_read_in_the_order_of_the_report() -> None:
    document = load(SPECS / "eurosat.yaml", TYPES)
    assert list(document.checks) == [
        "accuracy", "robust/standard", "robust/top-3", "robust/affinity", "robust/attacked", "sound/river-not-border",
        "sound/same-units", "sound/explanations-follow-the-model", "private/membership", "private/inversion",
        "fair/amplification",
    ]  # fmt: skip
    assert len(document.sets["highway+river"]) == 9
    assert len(document.sets["highway+river+agriculture"]) == 10
    top = document.checks["robust/top-3"]
    assert (top.epsilon, top.norm, top.guarantee, top.why) == (0.141, "l2", TopK(3), None)
    assert {check.seed for check in document.checks.values()} == {7}
    assert {check.over.rows for check in document.checks.values()} == {":4500"}
