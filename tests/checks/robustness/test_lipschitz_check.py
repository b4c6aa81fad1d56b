"""The Lipschitz constant end to end: only a proof passes a budget, only a pair of inputs fails one."""

import numpy as np
import pytest
import torch
from torch import nn

from auditor.checks.robustness.certified import CertifiedRobustness
from auditor.checks.robustness.lipschitz import LipschitzConstant
from auditor.errors import AssumptionBroken, CertificateBroken, Unsupported
from auditor.records import EvidenceKind, Status
from tests.support import make_check, plan_check, run_check

LIMIT = "budget: {{metric: global_upper, at_most: {limit}}}"


def planted(factor=1.0):
    """Margin f₀ − f₁ of slope `factor` along one direction, and next to nothing along the others."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval()
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].weight[0, 3], model[1].weight[1, 3] = factor / 2, -factor / 2
        model[1].bias.zero_()
    return model


def loose():
    """Two layers whose norms multiply to 100 though together they do nothing steeper than 1."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.diag(torch.tensor([10.0] + [0.5] * 15)))
        model[1].bias.zero_()
        model[3].weight.zero_()
        model[3].weight[0, 1], model[3].weight[1, 1] = 1.0, -1.0
    return model


def rows(count=20):
    return torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(count) % 2


def judged(model, body, count=20, **more):
    x, y = rows(count)
    return run_check(make_check(LipschitzConstant, body), model=model, x=x, y=y, input_range=(0.0, 1.0), **more)


def test_the_steep_model_fails_and_its_clean_twin_passes():
    steep, clean = (judged(planted(factor), LIMIT.format(limit=2)).finding for factor in (5.0, 1.0))
    assert (steep.status, clean.status) == (Status.FAIL, Status.PASS)
    assert steep.metrics["global_lower"] == pytest.approx(5, rel=1e-6)
    assert clean.metrics["tightness"] == pytest.approx(1, rel=1e-6)
    assert steep.evidence_kind is EvidenceKind.CERTIFIED
    assert steep.confidence is None
    assert steep.opens_when is not None
    assert clean.opens_when is None


def test_in_linf_the_dual_norm_is_proved_and_reached():
    """A margin of four weights 1: it changes by 4 per unit of ℓ∞, by 2 per unit of ℓ₂."""
    model = planted(0.0)
    with torch.no_grad():
        model[1].weight[0, :4], model[1].weight[1, :4] = 0.5, -0.5
    for norm, constant in (("linf", 4), ("l2", 2)):
        finding = judged(model, f"norm: {norm}\n" + LIMIT.format(limit=constant * 1.001)).finding
        assert finding.status is Status.PASS
        assert finding.metrics["global_lower"] == pytest.approx(constant, rel=1e-6)
        assert {"l2": "ℓ₂", "linf": "ℓ∞"}[norm] in finding.claim


def test_a_loose_proof_is_inconclusive_and_says_so():
    finding = judged(loose(), LIMIT.format(limit=2)).finding
    assert finding.status is Status.INCONCLUSIVE
    assert finding.metrics["global_lower"] <= 2 < finding.metrics["global_upper"]
    assert "the proof, which reaches only down to" in (finding.opens_when or "")


def test_a_search_that_finds_nothing_steep_passes_no_budget():
    found = judged(loose(), "budget: {metric: global_lower, at_most: 2}").finding
    assert found.status is Status.INCONCLUSIVE
    assert found.evidence_kind is EvidenceKind.ATTACKED
    tight = judged(loose(), "require: {metric: tightness, at_least: 0.9}").finding
    assert tight.status is Status.INCONCLUSIVE
    assert judged(planted(), "require: {metric: tightness, at_least: 0.9}").finding.status is Status.PASS


def test_the_mean_near_rows_may_fail_but_not_pass_by_search():
    body = "radius: 0.1\nbudget: {metric: local_lower_mean, at_most: LIMIT}"
    assert judged(planted(5.0), body.replace("LIMIT", "2")).finding.status is Status.FAIL
    assert judged(loose(), body.replace("LIMIT", "5")).finding.status is Status.INCONCLUSIVE
    finding = judged(planted(), body.replace("LIMIT", "1.001")).finding
    assert finding.status is Status.PASS
    assert finding.value == pytest.approx(1, rel=1e-6)
    assert finding.interval is not None
    assert finding.interval[0] <= finding.value


def test_a_neighbourhood_without_a_radius_is_refused():
    with pytest.raises(ValueError, match="no radius"):
        make_check(LipschitzConstant, "budget: {metric: local_lower_mean, at_most: 2}")


def test_points_and_evidence():
    judgement = judged(loose(), "radius: 0.1\n" + LIMIT.format(limit=2))
    points = judgement.tables["points"].to_pydict()
    assert list(points) == ["index", "local_lower"]
    assert points["index"] == list(range(20))
    metrics = judgement.finding.metrics
    assert np.mean(points["local_lower"]) == pytest.approx(metrics["local_lower_mean"])
    assert max(points["local_lower"]) <= metrics["global_lower"] * (1 + 1e-9) <= metrics["global_upper"] * (1 + 1e-9)
    assert {"margins", "bounds"} == {item.id for item in judgement.finding.evidence}
    for item in judgement.finding.evidence:
        assert item.caption
        assert item.alt
    bracket = judgement.tables["margins"].to_pydict()
    assert bracket["margin"] == ["0 over 1"]
    assert bracket["lower"][0] <= bracket["upper"][0]
    without = judged(loose(), LIMIT.format(limit=2)).tables["points"]
    assert without["local_lower"].null_count == 20


def test_no_rows_leave_the_proof_standing():
    x, y = rows()
    body = LIMIT.format(limit=2) + "\nwhere: {prediction: '1'}"
    model = planted()
    with torch.no_grad():
        model[1].bias[0] = 1e3
    finding = run_check(make_check(LipschitzConstant, body), model=model, x=x, y=y, input_range=(0.0, 1.0)).finding
    assert finding.n == 0
    assert finding.status is Status.PASS
    assert finding.metrics["global_lower"] == 0


def test_a_slope_above_its_bound_stops_the_audit(monkeypatch):
    from auditor.methods import robustness

    honest = robustness.bound_model

    def understating(*args, **more):
        bounds = honest(*args, **more)
        return bounds._replace(margins=bounds.margins / 2)

    monkeypatch.setattr(robustness, "bound_model", understating)
    with pytest.raises(CertificateBroken, match="class 0 over class 1") as broken:
        judged(planted(), LIMIT.format(limit=2))
    first, second = (torch.from_numpy(broken.value.witness[name]) for name in ("first", "second"))
    logits = planted().double()(torch.stack((first, second))).detach()
    change = logits[0] - logits[1]
    assert float((change[0] - change[1]).abs() / (first - second).norm()) == pytest.approx(1, rel=1e-6)


def test_a_slope_above_what_is_assumed_refutes_the_user():
    model = nn.Sequential(nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 2)).eval()
    finding = judged(model, LIMIT.format(limit=1e6), assumed={"1": 400.0}).finding
    assert finding.status is Status.PASS
    assert "the constant 400 of `1`" in finding.assumed[0]
    with pytest.raises(AssumptionBroken, match=r"the constant 0\.001 of `1`"):
        judged(model, LIMIT.format(limit=1e6), assumed={"1": 0.001})


def test_an_unsupported_network_is_no_number():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.LayerNorm(8), nn.Linear(8, 2)).eval()
    with pytest.raises(Unsupported):
        judged(model, LIMIT.format(limit=2))


def test_a_threshold_and_a_radius_change_only_what_they_must():
    x, y = rows()

    def labels(body):
        plan = plan_check(make_check(LipschitzConstant, body), model=planted(), x=x, y=y)
        return {task.digest: task.op.label for task in plan.tasks.values()}

    first, moved = labels(LIMIT.format(limit=2)), labels(LIMIT.format(limit=3))
    near = labels("radius: 0.1\n" + LIMIT.format(limit=2))
    assert {first[key] for key in first.keys() - moved.keys()} == {"judge"}
    assert {near[key] for key in near.keys() - first.keys()} == {
        "judge",
        "bracket margins",
        "search near",
        "slopes alone",
    }


def test_the_proof_is_shared_with_certified_robustness():
    x, y = rows()
    certified = make_check(CertifiedRobustness, "epsilon: 0.1\nclaim: sample\nrequire: {metric: vra, at_least: 0.5}")
    checks = (certified, make_check(LipschitzConstant, LIMIT.format(limit=2)))
    plans = [plan_check(check, model=planted(), x=x, y=y) for check in checks]
    shared = plans[0].tasks.keys() & plans[1].tasks.keys()
    assert "bound margins" in {plans[0].tasks[key].op.label for key in shared}
