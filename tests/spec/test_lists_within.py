"""Lists within a value that may also be written in short: sources and tagged terms take them as written."""

from pathlib import Path

from auditor.checks.registry import discover
from auditor.spec import load

SPEC = """\
auditor: 1
name: lists
model: {architecture: "model.py:build", input: {shape: [2]}, classes: [a, b, c]}
data:
  test: {path: x.csv, label: y, features: [p, q], columns: [p, q, y], attributes: [sex]}
defaults: {over: test}
checks:
  sound:
    type: influence.criterion
    require: {metric: mass, region: {any: [{features: [p]}, {not: {features: [q]}}]}, at_most: 0.5, for_at_least: 0.9}
"""


def test_features_and_regions(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    document = load(tmp_path / "spec.yaml", discover())
    source = document.data["test"]
    assert (source.features, source.columns, source.attributes) == (("p", "q"), ("p", "q", "y"), ("sex",))
    region = document.check("sound").threshold.region  # pyright: ignore[reportAttributeAccessIssue]
    assert [type(part).__name__ for part in region.regions] == ["Features", "Not"]
    assert region.regions[0].names == ("p",)
