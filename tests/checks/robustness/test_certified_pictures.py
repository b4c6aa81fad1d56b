"""The ceiling that the data put on VRA, and the pictures of the relaxed guarantees."""

import numpy as np
import pytest
import torch
from torch import nn

from auditor.checks.robustness.certified import CertifiedRobustness
from auditor.records import EvidenceKind
from tests.support import make_check, run_check

BODY = """\
epsilon: {epsilon}
guarantee: {guarantee}
attack: {{pgd: {{steps: 3, restarts: 1}}}}
require: {{metric: vra, at_least: 0.01}}
"""
SETS = {"fruit": [[0, 1], [1, 2]]}


def three_classes():
    """Logits that are the first three features; rows near the corner of their class, one in eight near another's."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(240) % 3
    x = 0.05 * torch.rand(240, 1, 2, 3, generator=generator)
    x[torch.arange(240), 0, 0, y] += 0.6
    close = torch.arange(240) % 8 == 0
    x[close, 0, 0, (y[close] + 1) % 3] += 0.55
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 3, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.eye(3, 6))
    return model.eval(), x, y


def judged(epsilon=0.1, guarantee="standard", x=None, y=None):
    model, own_x, own_y = three_classes()
    check = make_check(CertifiedRobustness, BODY.format(epsilon=epsilon, guarantee=guarantee))
    return run_check(check, model=model, x=own_x if x is None else x, y=own_y if y is None else y, sets=SETS)


def evidence(judgement, id):
    return next((item for item in judgement.finding.evidence if item.id == id), None)


def test_mislabelled_twins_cap_what_any_classifier_could_reach():
    _, x, y = three_classes()
    x[1::12] = x[::12] + 0.001
    wide, narrow = judged(x=x, y=y), judged(epsilon=0.0001, x=x, y=y)
    assert wide.finding.metrics["vra_ceiling"] == 1 - 20 / 240
    assert narrow.finding.metrics["vra_ceiling"] == 1.0
    assert wide.finding.metrics["vra"] <= wide.finding.metrics["vra_ceiling"]
    assert any("No classifier" in limit for limit in wide.finding.limits)
    assert not any("No classifier" in limit for limit in narrow.finding.limits)
    grid = evidence(wide, "conflicts")
    assert len(grid.tiles) == 6
    assert {tile.image for tile in grid.tiles} <= set(wide.images)
    assert evidence(narrow, "conflicts") is None
    ceiling = wide.tables["radii"]["ceiling"].to_numpy()
    assert ceiling[0] == 1.0
    assert bool((np.diff(ceiling) <= 0).all())
    assert evidence(wide, "radii").series[-1].style == "reference"


@pytest.mark.parametrize("guarantee", ["standard", "{top_k: 1}", "{affinity: fruit}"])
def test_no_certificate_exceeds_the_ceiling_of_its_guarantee(guarantee):
    for epsilon in (0.01, 0.05, 0.1, 0.2):
        metrics = judged(epsilon, guarantee).finding.metrics
        assert metrics["vra"] <= metrics["vra_ceiling"]


def test_an_affinity_that_accepts_the_confusion_lifts_the_ceiling():
    _, x, y = three_classes()
    x[1::12] = x[::12] + 0.001
    strict, relaxed = judged(x=x, y=y), judged(guarantee="{affinity: fruit}", x=x, y=y)
    assert strict.finding.metrics["vra_ceiling"] < relaxed.finding.metrics["vra_ceiling"] == 1.0


def test_larger_sets_leave_the_ceiling_open():
    assert judged(guarantee="{top_k: 2}").finding.metrics["vra_ceiling"] is None


def test_vra_by_k_ends_in_the_metric_and_starts_in_the_standard_one():
    standard, relaxed = judged(), judged(guarantee="{top_k: 2}")
    shares = relaxed.tables["sizes"]["share"].to_pylist()
    assert shares[0] == standard.finding.metrics["vra"] < shares[1] == relaxed.finding.metrics["vra"]
    assert relaxed.tables["sizes"]["correct"].to_pylist()[-1] == relaxed.finding.metrics["clean_accuracy"]
    assert evidence(standard, "sizes") is None


def test_the_map_shows_which_classes_share_a_certified_set():
    judgement = judged(guarantee="{affinity: fruit}")
    assert judgement.finding.evidence_kind is EvidenceKind.CERTIFIED
    heatmap = evidence(judgement, "together")
    assert heatmap.outlined == (("0", "1"), ("1", "2"))
    cells = {(row["label"], row["held"]): row["share"] for row in judgement.tables["together"].to_pylist()}
    assert cells["0", "1"] > 0
    assert cells["0", "2"] == 0
    points = judgement.tables["points"].to_pylist()
    mine = [row for row in points if row["label"] == 0 and row["certified"]]
    assert cells["0", "1"] == pytest.approx(sum(1 in row["robust_set"] for row in mine) / len(mine))
    assert evidence(judged(), "together") is None


def test_in_the_maximum_norm_radii_are_those_of_a_linear_model_in_closed_form():
    model, x, y = three_classes()
    check = make_check(CertifiedRobustness, BODY.format(epsilon=0.05, guarantee="standard"), norm="linf")
    judgement = run_check(check, model=model, x=x, y=y)
    logits = model(x).detach().double().numpy()
    margins = np.sort(logits, axis=1)[:, -1] - np.sort(logits, axis=1)[:, -2]
    radius = judgement.tables["points"]["radius"].to_numpy()
    np.testing.assert_allclose(radius, margins / 2, rtol=1e-6)
    assert bool((radius <= margins / 2).all())
    assert judgement.finding.metrics["lipschitz_lower"] <= judgement.finding.metrics["lipschitz_upper"]
    assert any("loose" in limit for limit in judgement.finding.limits)
    assert judgement.proved.proof.norm == "linf"
