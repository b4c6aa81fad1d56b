"""The criterion end to end: planted shortcuts, vacuous criteria, undefined rows, and what is written down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from auditor.checks.influence.criterion import ExplanationCriterion
from auditor.errors import NotAvailable, Undecidable
from auditor.records import Histogram, ImageGrid, Status
from tests.support import make_check, run_check

NOT_THE_BORDER = """
quantity: {class: label, against: rest}
distribution: {linear: {baseline: mean}}
units: attribution
require: {metric: mass, region: {border: 2}, sign: abs, at_most: 0.45, for_at_least: 0.9}
"""


def bars(seed: int, rows: int, *, patch: bool) -> tuple[Tensor, Tensor]:
    """12x12 noise with a bar in the middle, vertical (0) or horizontal (1); with `patch`, a white corner for 1."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (rows,), generator=generator)
    x = 0.5 * torch.rand(rows, 1, 12, 12, generator=generator)
    offsets = torch.randint(3, 8, (rows,), generator=generator)
    for image, label, offset in zip(x, y, offsets, strict=True):
        if label:
            image[0, offset, 3:9] += 0.5
        else:
            image[0, 3:9, offset] += 0.5
        if patch:
            image[0, 0:2, 0:2] = float(label)
    return x, y


def trained(seed: int, *, patch: bool) -> nn.Module:
    x, y = bars(seed, 1024, patch=patch)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval()


def judged(body: str, model: nn.Module, *, patch: bool = False, rows: int = 60, **more: Any):
    x, y = bars(1000, rows, patch=patch)
    check = make_check(ExplanationCriterion, body, seed=3)
    given = {"classes": ["vertical", "horizontal"], "input_range": (0.0, 1.0), **more}
    return run_check(check, model=model, x=x, y=y, train=bars(0, 64, patch=patch), **given)


@pytest.fixture(scope="module")
def clean() -> nn.Module:
    return trained(0, patch=False)


@pytest.mark.parametrize("seed", range(20))
def test_a_planted_shortcut_fails_and_its_clean_twin_passes(seed: int) -> None:
    shortcut = judged(NOT_THE_BORDER, trained(seed, patch=True), patch=True).finding
    twin = judged(NOT_THE_BORDER, trained(seed, patch=False)).finding
    assert (shortcut.status, twin.status) == (Status.FAIL, Status.PASS)
    assert not twin.metrics["vacuous"]


def test_what_is_written_down(clean: nn.Module) -> None:
    found = judged(NOT_THE_BORDER, clean)
    finding, points = found.finding, found.tables["points"]
    assert points.column_names == ["index", "label", "predicted", "value", "holds"]
    values, holds = points["value"].to_numpy(), points["holds"].to_numpy(zero_copy_only=False)
    assert np.array_equal(holds, values <= 0.45)
    assert finding.metrics["fraction"] == finding.value == holds.mean()
    assert finding.metrics["value_median"] == np.median(values)
    assert finding.metrics["undefined"] == 0
    assert finding.metrics["residual_max"] <= 1e-3
    assert finding.threshold == {"at_most": 0.45, "for_at_least": 0.9}
    assert finding.n == 60
    assert finding.interval is not None
    assert finding.interval[0] <= finding.value <= finding.interval[1]
    assert "in the 2-pixel border" in finding.claim
    assert finding.limits
    assert finding.rests_on


def test_pictures_show_best_median_and_worst(clean: nn.Module) -> None:
    found = judged(NOT_THE_BORDER, clean)
    grid, histogram = found.finding.evidence
    assert isinstance(grid, ImageGrid)
    assert isinstance(histogram, Histogram)
    values = found.tables["points"]["value"].to_numpy()
    order = np.argsort(values, kind="stable")
    assert [tile.title.split(":")[0] for tile in grid.tiles] == ["Best", "Median", "Worst"]
    assert [int(tile.note.removeprefix("row ")) for tile in grid.tiles] == [order[0], order[30], order[-1]]
    for tile in grid.tiles:
        assert tile.overlay is not None
        assert tile.boxes == ((2, 2, 8, 8),)
        for image in (found.images[tile.image], found.images[tile.overlay]):
            assert image.dtype == np.uint8
            assert image.shape == (12, 12)
    x, _ = bars(1000, 60, patch=False)
    assert np.abs(found.images["best"] / 255 - x[order[0], 0].clamp(0, 1).numpy()).max() <= 0.5 / 255 + 1e-6
    assert found.tables["metric"]["value"].to_pylist() == values.tolist()
    assert [mark.value for mark in histogram.marks] == [0.45, pytest.approx(80 / 144)]
    assert histogram.hatch == "above"


def test_best_is_highest_where_more_is_asked_for(clean: nn.Module) -> None:
    body = NOT_THE_BORDER.replace("{border: 2}", "{not: {border: 2}}").replace("at_most: 0.45", "at_least: 0.55")
    found = judged(body, clean)
    numbers = [float(tile.title.split(":")[1]) for tile in found.finding.evidence[0].tiles]  # pyright: ignore
    assert numbers == sorted(numbers, reverse=True)
    assert found.finding.status is Status.PASS


def test_a_criterion_random_weights_pass_too_is_vacuous(clean: nn.Module) -> None:
    finding = judged(NOT_THE_BORDER.replace("at_most: 0.45", "at_most: 0.95"), clean).finding
    assert finding.status is Status.PASS
    assert finding.metrics["vacuous"]
    assert finding.metrics["fraction_randomised"] == 1.0
    assert "vacuous" in finding.summary
    assert "random weights" in finding.limits[0]


class Blind(nn.Module):
    """Sees nothing on images darker than 0.3 at its one pixel, and the middle elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        bright = torch.relu(x[:, 0, 5, 5] - 0.3) * self.weight
        return torch.stack([bright, torch.zeros_like(bright)], dim=1)


@pytest.mark.parametrize(("undefined", "status"), [("fails", Status.FAIL), ("exclude", Status.PASS)])
def test_rows_without_influence_count_against_the_claim_unless_excluded(undefined: str, status: Status) -> None:
    finding = judged(
        f"""
quantity: {{class: vertical}}
require: {{metric: mass, region: {{border: 2}}, sign: abs, at_most: 0.1, for: all, undefined: {undefined}}}
""",
        Blind(),
    ).finding
    x, _ = bars(1000, 60, patch=False)
    dark = int((x[:, 0, 5, 5] <= 0.3).sum())
    assert 0 < dark < 60
    assert finding.metrics["undefined"] == dark
    assert f"{dark} rows have no influence to share out" in finding.summary
    assert finding.n == (60 if undefined == "fails" else 60 - dark)
    assert finding.status is status


def test_where_filters_rows_before_anything_is_measured(clean: nn.Module) -> None:
    found = judged(NOT_THE_BORDER + "where: {label: horizontal}\n", clean, rows=120)
    assert set(found.tables["points"]["label"].to_pylist()) == {1}
    _, y = bars(1000, 120, patch=False)
    assert found.finding.n == int(y.sum())
    assert found.tables["points"]["index"].to_pylist() == y.nonzero().squeeze(1).tolist()
    assert "labelled horizontal" in found.finding.claim


def test_the_mean_of_the_metric(clean: nn.Module) -> None:
    finding = judged(NOT_THE_BORDER.replace("for_at_least: 0.9", "aggregate: mean"), clean).finding
    assert finding.status is Status.PASS
    assert finding.threshold == {"at_most": 0.45, "aggregate": "mean"}
    assert finding.interval is not None
    assert finding.value is not None
    assert finding.interval[0] < finding.value < finding.interval[1] < 0.45


def test_for_all_fails_on_one_counterexample(clean: nn.Module) -> None:
    values = judged(NOT_THE_BORDER, clean).tables["points"]["value"].to_numpy()
    between = float(np.sort(values)[-2:].mean())
    body = NOT_THE_BORDER.replace("at_most: 0.45, for_at_least: 0.9", f"at_most: {between}, for: all")
    finding = judged(body, clean).finding
    assert finding.status is Status.FAIL
    assert finding.threshold == {"at_most": between, "for": "all"}
    assert finding.value == pytest.approx(59 / 60)
    assert finding.opens_when == "60 of the 60 rows satisfy it; 59 do now"


def test_lift_is_mass_over_area(clean: nn.Module) -> None:
    mass = judged(NOT_THE_BORDER, clean).tables["points"]["value"].to_numpy()
    lift = judged(NOT_THE_BORDER.replace("mass,", "mass_lift,"), clean).tables["points"]["value"].to_numpy()
    np.testing.assert_allclose(lift, mass / (80 / 144))


def test_too_few_rows_are_undecidable_before_anything_runs(clean: nn.Module) -> None:
    with pytest.raises(Undecidable, match="29"):
        judged(NOT_THE_BORDER, clean, rows=28)
    assert judged(NOT_THE_BORDER, clean, rows=29).finding.status is Status.PASS


class Table(nn.Module):
    """Five columns, of which the first three are one feature, with weights that sum to 0.5."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 2)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[1.0, -2.0, 1.5, 3.0, 1.0], [0.0] * 5]))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


NAMES = ["colour=red", "colour=green", "colour=blue", "age", "income"]


@pytest.mark.parametrize(
    ("feature", "expected"),
    [("colour", 0.5 / 4.5), ("age", 3 / 4.5), ("income", 1 / 4.5)],
)
def test_share_of_a_feature_of_a_table(feature: str, expected: float) -> None:
    x = torch.rand(40, 5, generator=torch.Generator().manual_seed(0))
    check = make_check(
        ExplanationCriterion,
        f"""
quantity: {{class: "0"}}
require: {{metric: share, region: {{features: [{feature}]}}, at_most: 0.7, for: all}}
""",
    )
    found = run_check(check, model=Table(), x=x, y=torch.zeros(40), train=(x, torch.zeros(40)), feature_names=NAMES)
    np.testing.assert_allclose(found.tables["points"]["value"].to_numpy(), expected, rtol=1e-6)
    assert found.tables["profile"]["name"].to_pylist()[0] == "age"
    assert not found.images


def test_share_per_standard_deviation_of_the_training_data() -> None:
    x = torch.rand(40, 5, generator=torch.Generator().manual_seed(0))
    train = torch.randn(500, 5, generator=torch.Generator().manual_seed(1)) * torch.tensor([0.0, 0.0, 0.0, 1.0, 6.0])
    check = make_check(
        ExplanationCriterion,
        """
quantity: {class: "0"}
require: {metric: share, region: {features: [income]}, scale: per_std, at_least: 0.5, for: all}
""",
    )
    found = run_check(
        check, model=Table(), x=x, y=torch.zeros(40), train=(train, torch.zeros(500)), feature_names=NAMES
    )
    deviation = train.std(0)
    expected = float(deviation[4] / (deviation[4] + 3 * deviation[3]))
    np.testing.assert_allclose(found.tables["points"]["value"].to_numpy(), expected, rtol=1e-5)
    assert found.finding.status is Status.PASS


def test_top_k_overlap_at_a_layer(clean: nn.Module) -> None:
    """Rows of one class rest on the same hidden units far more often than chance, 4/16, would have it."""
    finding = judged(
        """
slice: {layer: "1"}
quantity: {class: label}
require: {metric: top_k_overlap, k: 4, at_least: 0.5, for_at_least: 0.7}
""",
        clean,
        rows=100,
    ).finding
    assert finding.status is Status.PASS
    assert finding.metrics["value_median"] >= 0.75


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("distribution: {gaussian: {std: 0.1}}", "distribution gaussian"),
        ("distribution: {linear: {baseline: black.png}}", "baseline from a file"),
        ("needs: [sound/sanity]", "needs"),
    ],
)
def test_what_is_to_come_is_named(body: str, says: str, clean: nn.Module) -> None:
    rest = "\nrequire: {metric: mass, region: {border: 2}, at_most: 0.45, for: all}"
    with pytest.raises(NotAvailable, match=says):
        judged(body + rest, clean)
