"""The criterion as a spec writes it: what loads, what is refused, what the claim says."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from pydantic import ValidationError

from auditor.checks.influence.criterion import ExplanationCriterion
from auditor.terms import Class, Linear, Slice

MASS = "{metric: mass, region: {border: 2}, at_most: 0.5, for: all}"


def read(body: str) -> ExplanationCriterion:
    return ExplanationCriterion.model_validate({"type": "influence.criterion", "over": "test", **yaml.safe_load(body)})


EUROSAT = """
slice: input
quantity: {class: River, against: Highway}
distribution: {linear: {baseline: mean}}
units: attribution
where: {label: River}
require: {metric: mass, region: {border: 4}, sign: abs, at_most: 0.30, for_at_least: 0.90}
"""
EUROSAT_UNITS = """
slice: {layer: blocks.1}
quantity: {class: label}
where: {label: Forest}
require: {metric: top_k_overlap, k: 10, at_least: 0.5, for_at_least: 0.80}
"""


def test_the_eurosat_criteria_load_and_are_available() -> None:
    river, units = read(EUROSAT), read(EUROSAT_UNITS)
    assert river.claim_text() == (
        "For at least 90 % of the rows of test labelled River, at most 0.3 of the |attribution| of the input on River "
        "against Highway lies in the 4-pixel border (on the line from each channel's mean)."
    )
    assert units.slice == Slice(layer="blocks.1")
    assert units.claim_text().startswith(
        "For at least 80 % of the rows of test labelled Forest, at least 0.5 of the 10"
    )
    assert river.unavailable() == units.unavailable() == ()
    assert river.rows_needed(28) == 29
    assert river.rows_needed(29) is None


def test_defaults() -> None:
    plain = read(f"require: {MASS}")
    assert plain.slice == Slice()
    assert plain.quantity.class_ == "predicted"
    assert plain.distribution.tag == "point"
    assert plain.units == "influence"
    assert plain.demand.magnitude == "positive"
    assert read("require: {metric: share, region: {features: [a]}, at_most: 0.5}").demand.magnitude == "abs"


class Classes:
    """The one part of a builder that names need."""

    def class_index(self, name: str) -> int:
        return ["River", "label", "Highway"].index(name)


def test_names_become_indices_and_keywords_stay() -> None:
    def resolved(body: str) -> object:
        return read(f"{{quantity: {body}, require: {MASS}}}").quantity.resolve(Classes())  # pyright: ignore

    assert resolved("{class: River, against: Highway}") == Class(0, against=2)
    assert resolved("{class: label, against: rest, 'on': probability}") == Class(
        "label", against="rest", on="probability"
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{metric: masss, region: {border: 2}, at_most: 0.5}", "has no metric 'masss'"),
        ("{metric: mass, at_most: 0.5}", "mass needs region"),
        ("{metric: top_k_overlap, region: {border: 2}, k: 3, at_least: 0.5}", "has no region"),
        ("{metric: top_k_overlap, at_least: 0.5}", "needs k"),
        ("{metric: mass, region: {border: 2}, k: 3, at_most: 0.5}", "has no k"),
        ("{metric: rank_correlation, at_least: 0.5}", "needs quantity"),
        ("{metric: mass, region: {border: 2}, scale: per_std, at_most: 0.5}", "scale belongs to"),
        ("{metric: mass, region: {border: 2}, at_most: 0.5, for: all, for_at_least: 0.9}", "state one of"),
        ("{metric: mass, region: {border: 2}, at_most: 0.5, for_at_least: 1.0}", "less than 1"),
        ("{metric: mass, region: {border: 2}, at_most: 0.5, at_least: 0.1}", "exactly one of at_least and at_most"),
        ("{metric: mass, region: {border: 2}, at_least: 1.2}", "no model can satisfy"),
        ("{metric: mass_lift, region: {border: 2}, at_most: -0.2}", "no model can satisfy"),
        ("{metric: rank_correlation, with: {class: label}, at_least: 1.2}", "no model can satisfy"),
        ("{metric: mass, region: {border: 0}, at_most: 0.5}", "greater than 0"),
        ("{metric: mass, region: {box: [0, 0, 4]}, at_most: 0.5}", "box"),
        ("{metric: mass, region: {ring: 2}, at_most: 0.5}", "expected one of box, border"),
        ("{metric: mass, region: {any: []}, at_most: 0.5}", "at least 1 item"),
    ],
)
def test_demands_that_make_no_sense(body: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        read(f"require: {body}")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("units: attribution", "relative to a baseline"),
        ("{units: attribution, distribution: {gaussian: {std: 1}}}", "relative to a baseline"),
        (
            "{units: attribution, slice: {layer: a}, distribution: {linear: {baseline: 0}}}",
            "complete only along a line in the slice",
        ),
        ("slice: {layer: a}", "over regions of the input"),
        ("slice: output", "slice"),
        ("slice: {at: input}", "belong to a layer"),
        ("slice: {layr: a}", "layr"),
        ("quantity: {class: A, against: A}", "against itself"),
        ("quantity: {class: A, neuron: {layer: b, index: 1}}", "exactly one of"),
        ("quantity: {neuron: {layer: b, index: 1}, 'on': probability}", "belong to a class"),
        ("quantity: {}", "exactly one of"),
        ("distribution: {linear: {}}", "baseline"),
        ("distribution: {linear: {baseline: meen}}", "neither a number"),
        ("distribution: {uniform: {feature: a, low: 2, high: 1}}", "must be below"),
        ("distribution: normal", "expected one of point, linear"),
    ],
)
def test_questions_that_make_no_sense(body: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        read(yaml.safe_dump({**yaml.safe_load(body), "require": yaml.safe_load(MASS)}))


def test_a_budget_has_only_an_upper_side() -> None:
    assert read(f"budget: {MASS}").demand.at_most == 0.5
    with pytest.raises(ValidationError):
        read("budget: {metric: mass, region: {border: 2}, at_least: 0.5}")


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ("distribution: {gaussian: {std: 0.1}}", "the distribution gaussian"),
        ("distribution: {rows: {data: train, in: slice}}", "the distribution rows"),
        ("distribution: {linear: {baseline: black.npy}}", "a baseline from a file"),
        ("require: {metric: mass, region: {not: {mask: river.png}}, at_most: 0.5}", "masks from a file or a column"),
        ("require: {metric: not_in_top, region: {features: [a]}, k: 2, at_least: 1}", "the metric not_in_top"),
        ("require: {metric: min_gradient, region: {features: [a]}, at_least: 0}", "the metric min_gradient"),
        ("require: {metric: rank_correlation, with: {class: label}, at_least: 0.2}", "the metric rank_correlation"),
    ],
)
def test_what_validates_but_is_to_come(body: str, missing: str) -> None:
    check = read(yaml.safe_dump({"require": yaml.safe_load(MASS), **yaml.safe_load(body)}))
    assert check.unavailable() == (missing,)


def test_units_within_the_network_are_available() -> None:
    body = "quantity: {channel: {layer: blocks.1, index: 3, reduce: max}}"
    assert read(yaml.safe_dump({**yaml.safe_load(body), "require": yaml.safe_load(MASS)})).unavailable() == ()


@pytest.mark.parametrize("body", [EUROSAT, EUROSAT_UNITS, "distribution: {linear: {baseline: 1, in: slice}}"])
def test_written_and_read_again(body: str) -> None:
    check = read(yaml.safe_dump({"require": yaml.safe_load(MASS), **yaml.safe_load(body)}))
    assert ExplanationCriterion.model_validate(check.model_dump(mode="json", exclude_none=True)) == check
    assert check.distribution == Linear(1.0, at="slice") or body != "distribution: {linear: {baseline: 1, in: slice}}"


def test_declaring_a_criterion_imports_no_torch() -> None:
    code = (
        "import sys; sys.modules.update(torch=None, scipy=None, numpy=None, pyarrow=None)\n"
        "import auditor.checks.influence.criterion, auditor.checks.influence.judgement"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
