"""Both checks end to end: a fragile model fails, its robust twin passes, and each number is what it says."""

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from auditor.checks.robustness.attacked import AttackedRobustness
from auditor.checks.robustness.certified import CertifiedRobustness
from auditor.errors import AssumptionBroken, CertificateBroken, Undecidable, Unsupported
from auditor.records import EvidenceKind, Status
from auditor.statistics import clopper_pearson
from tests.support import make_check, run_check

CERTIFIED = "epsilon: 0.05\nattack: {{pgd: {{steps: 10, restarts: 2}}}}\nrequire: {{metric: {metric}, at_least: {t}}}"


def images(rows=300, seed=0):
    """8×8 pictures that are brighter left (class 0) or right (class 1)."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, 1, 8, 8, generator=generator)
    y = torch.arange(rows) % 2
    x[y == 0, :, :, :4] *= 0.6
    x[y == 1, :, :, 4:] *= 0.6
    x = 1 - x
    return x, y


def robust_model():
    """Mean of the left half against mean of the right: every pixel counts alike."""
    half = torch.cat([torch.ones(8, 4), -torch.ones(8, 4)], 1).flatten() / 8
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.stack([half, -half]) / 2)
        model[1].bias.zero_()
    return model.eval()


def fragile_model():
    """Same answers on the data, but a high-frequency pattern of tiny amplitude decides as well."""
    model = robust_model()
    checker = (-1.0) ** (torch.arange(8)[:, None] + torch.arange(8)[None, :])
    with torch.no_grad():
        model[1].weight.add_(torch.stack([checker.flatten(), -checker.flatten()]) * 2)
    return model


def smooth(x):
    """Removes the pattern that the fragile model listens to, so that it classifies the data as well as its twin."""
    checker = (-1.0) ** (torch.arange(8)[:, None] + torch.arange(8)[None, :]) / 8
    return x - (x * checker).sum((1, 2, 3), keepdim=True) * checker


def certified(body, model, x, y, **more):
    return run_check(make_check(CertifiedRobustness, body), model=model, x=x, y=y, **more)


def attacked(body, model, x, y, **more):
    return run_check(make_check(AttackedRobustness, body), model=model, x=x, y=y, **more)


def test_the_fragile_model_fails_and_its_clean_twin_passes():
    x, y = images()
    x = smooth(x)
    body = CERTIFIED.format(metric="vra", t=0.8)
    clean, fragile = (certified(body, model, x, y).finding for model in (robust_model(), fragile_model()))
    assert clean.status is Status.PASS
    assert fragile.status is Status.FAIL
    assert clean.metrics["clean_accuracy"] == pytest.approx(fragile.metrics["clean_accuracy"], abs=0.01)
    assert fragile.opens_when is not None
    assert clean.opens_when is None


def test_under_attack_likewise():
    x, y = images()
    x = smooth(x)
    body = CERTIFIED.format(metric="accuracy_under_attack", t=0.8)
    clean, fragile = (attacked(body, model, x, y).finding for model in (robust_model(), fragile_model()))
    assert (clean.status, fragile.status) == (Status.PASS, Status.FAIL)
    assert clean.evidence_kind is EvidenceKind.ATTACKED
    assert "PGD with 10 steps" in (clean.threat_model or "")
    assert "stronger attack" in clean.limits[0]


def test_vra_interval_runs_from_what_is_proved_to_what_is_not_refuted():
    x, y = images()
    finding = certified(CERTIFIED.format(metric="vra", t=0.8), robust_model(), x, y).finding
    n, metrics = finding.n, finding.metrics
    proved, standing = round(metrics["vra"] * n), round(metrics["accuracy_under_attack"] * n)
    assert 0 < proved <= standing <= metrics["clean_accuracy"] * n
    low = clopper_pearson(proved, n, confidence=0.95).low
    assert finding.interval == (low, clopper_pearson(standing, n, confidence=0.95).high)
    assert finding.value == metrics["vra"]
    sample = certified(CERTIFIED.format(metric="vra", t=0.8) + "\nclaim: sample", robust_model(), x, y).finding
    assert sample.interval == (metrics["vra"], metrics["accuracy_under_attack"])
    assert sample.confidence is None


def test_points_are_those_of_a_linear_model_in_closed_form():
    x, y = images()
    judgement = certified(CERTIFIED.format(metric="vra", t=0.8), robust_model(), x, y)
    points = judgement.tables["points"]
    assert points.schema == pa.schema(
        [
            ("index", pa.int64()), ("label", pa.int64()), ("predicted", pa.int64()), ("certified", pa.bool_()),
            ("radius", pa.float64()), ("vra_radius", pa.float64()), ("k", pa.int64()),
            ("robust_set", pa.list_(pa.int64())),
        ]
    )  # fmt: skip
    logits = robust_model().double()(x.double()).detach().numpy()
    distance = np.abs(logits[:, 0] - logits[:, 1])
    np.testing.assert_allclose(points["radius"].to_numpy(), distance, rtol=1e-6, atol=1e-9)
    right = logits.argmax(1) == y.numpy()
    np.testing.assert_allclose(points["vra_radius"].to_numpy(), np.where(right, distance, 0), rtol=1e-6, atol=1e-9)
    assert points["certified"].to_pylist() == (points["radius"].to_numpy() >= 0.05).tolist()
    expected = [
        [int(p)] if c else []
        for p, c in zip(points["predicted"].to_pylist(), points["certified"].to_pylist(), strict=True)
    ]
    assert points["robust_set"].to_pylist() == expected
    assert points["k"].to_pylist() == [len(row) for row in expected]


def test_attacked_points_name_the_class_found_and_its_distance():
    x, y = images()
    judgement = attacked(CERTIFIED.format(metric="accuracy_under_attack", t=0.5), robust_model(), x, y)
    points = judgement.tables["points"].to_pydict()
    assert list(points) == ["index", "label", "predicted", "attacked", "distance"]
    for label, predicted, found, distance in zip(*(points[name] for name in list(points)[1:]), strict=True):
        if label != predicted:
            assert distance == 0
        elif distance is None:
            assert found == predicted
        else:
            assert found != predicted
            assert 0 < distance <= 0.05
    share = np.mean([label == found for label, found in zip(points["label"], points["attacked"], strict=True)])
    assert share == judgement.finding.metrics["accuracy_under_attack"]


def test_certified_points_are_never_broken_by_the_attack_beside():
    x, y = images()
    proof = certified(CERTIFIED.format(metric="vra", t=0.5), robust_model(), x, y).tables["points"].to_pydict()
    body = CERTIFIED.format(metric="accuracy_under_attack", t=0.5)
    attack = attacked(body, robust_model(), x, y).tables["points"].to_pydict()
    for radius, distance in zip(proof["vra_radius"], attack["distance"], strict=True):
        assert distance is None or distance >= radius


def test_a_flip_within_a_certified_radius_stops_the_audit(monkeypatch):
    from auditor.methods import robustness

    honest = robustness.bound_model

    def understating(*args, **options):
        bounds = honest(*args, **options)
        return bounds._replace(margins=bounds.margins / 20)

    monkeypatch.setattr(robustness, "bound_model", understating)
    x, y = images()
    with pytest.raises(CertificateBroken, match="report it with the witness") as broken:
        certified(CERTIFIED.format(metric="vra", t=0.5), robust_model(), x, y)
    witness = {name: torch.from_numpy(values) for name, values in broken.value.witness.items()}
    model = robust_model()
    assert int(model(witness["input"][None]).argmax()) != int(model(witness["adversarial"][None]).argmax())


def test_an_unsupported_network_raises_with_the_node():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.LayerNorm(8), nn.Linear(8, 2)).eval()
    x, y = images(20)
    with pytest.raises(Unsupported, match="LayerNorm") as refused:
        certified(CERTIFIED.format(metric="vra", t=0.1), model, x, y)
    assert refused.value.node == "network.2"


def normalised_model(gain=1.0):
    """The mean of the left half against that of the right, after a layer whose slope is `gain` and has no bound."""
    model = nn.Sequential(nn.Flatten(), Tilted(gain), robust_model()[1])
    return model.eval()


class Tilted(nn.Module):
    def __init__(self, gain):
        super().__init__()
        self.gain = gain

    def forward(self, x):
        return self.gain * (x + 1e-9 * x.sort(-1).values)


def test_a_finding_says_what_constant_it_assumes():
    x, y = images()
    body = CERTIFIED.format(metric="vra", t=0.8)
    judgement = certified(body, normalised_model(), x, y, assumed={"1": 1.1})
    finding = judgement.finding
    assert finding.status is Status.PASS
    assert finding.assumed == ("the constant 1.1 of `1`, which is the user's word",)
    assert "No constant is assumed by the user." not in finding.rests_on
    kinds = dict(zip(*(judgement.tables["layers"][name].to_pylist() for name in ("layer", "kind")), strict=True))
    assert kinds["1"] == "assumed"
    assert judgement.proved is not None
    assert [layer.assumed for layer in judgement.proved.proof.layers][:2] == [None, 1.1]
    plain = certified(body, robust_model(), x, y, assumed={"1": 1.1}).finding
    assert plain.assumed == ()
    assert "No constant is assumed by the user." in plain.rests_on


def test_an_attack_that_refutes_what_is_assumed_says_so():
    x, y = images()
    body = CERTIFIED.format(metric="vra", t=0.5)
    with pytest.raises(AssumptionBroken, match=r"rests on the constant 0\.01 of `1`"):
        certified(body, normalised_model(), x, y, assumed={"1": 0.01})


def test_an_unsupported_module_comes_with_the_key_that_would_state_its_constant():
    x, y = images(20)
    with pytest.raises(Unsupported) as refused:
        certified(
            CERTIFIED.format(metric="vra", t=0.1), nn.Sequential(nn.Flatten(), nn.LayerNorm(64), nn.Linear(64, 2)), x, y
        )
    assert "method: smoothing" in (refused.value.remedy or "")
    assert "model.assumed.1" in (refused.value.remedy or "")


def three_class_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 5)).eval()


def test_relaxed_guarantees_certify_no_less_and_count_in_their_own_sense():
    x, _ = images(120)
    model = three_class_model()
    order = model(x).argsort(dim=1, descending=True)
    y = order[torch.arange(120), torch.arange(120) % 3]
    found = {}
    for name, guarantee in {
        "standard": "standard", "top-1": "{top_k: 1}", "top-2": "{top_k: 2}", "top-3": "{top_k: 3}",
        "singletons": "{affinity: singletons}", "sets": "{affinity: pairs}",
    }.items():  # fmt: skip
        body = CERTIFIED.format(metric="vra", t=0.1) + f"\nguarantee: {guarantee}"
        sets = {"singletons": [["0"], ["1"]], "pairs": [["0", "1"], ["2", "3", "4"]]}
        found[name] = certified(body, model, x, y, sets=sets).finding.metrics
    for same in ("top-1", "singletons"):
        for metric in ("vra", "clean_accuracy", "rejection_rate", "accuracy_under_attack"):
            assert found[same][metric] == found["standard"][metric]
    assert found["standard"]["vra"] <= found["top-2"]["vra"] <= found["top-3"]["vra"]
    clean = [found[name]["clean_accuracy"] for name in ("top-1", "top-2", "top-3")]
    np.testing.assert_allclose(clean, [1 / 3, 2 / 3, 1.0], atol=0.01)
    for metrics in found.values():
        assert metrics["vra"] <= metrics["accuracy_under_attack"] <= metrics["clean_accuracy"]
    members = [{0, 1}, {2, 3, 4}]
    rank = (order == y[:, None]).int().argmax(1)
    acceptable = [
        r == 0 or any(set(row[: r + 1].tolist()) <= m for m in members)
        for row, r in zip(order, rank.tolist(), strict=True)
    ]
    assert found["sets"]["clean_accuracy"] == pytest.approx(np.mean(acceptable))


def test_a_filter_decides_which_rows_count():
    x, y = images()
    body = CERTIFIED.format(metric="vra", t=0.1) + '\nwhere: {label: "1"}'
    judgement = certified(body, robust_model(), x, y)
    assert judgement.finding.n == 150
    assert set(judgement.tables["points"]["label"].to_pylist()) == {1}
    assert judgement.tables["points"]["index"].to_pylist() == list(range(1, 300, 2))


def test_no_rows_decide_nothing():
    x, y = images(20)
    body = "epsilon: 0.05\nclaim: sample\nwhere: {prediction: '2'}\nrequire: {metric: METRIC, at_least: 0.5}"
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval()
    with torch.no_grad():
        model[1].bias[2] = -1e6
    for check, metric in ((certified, "vra"), (attacked, "accuracy_under_attack")):
        finding = check(body.replace("METRIC", metric), model, x, y).finding
        assert finding.status is Status.INCONCLUSIVE
        assert finding.n == 0
        assert finding.value is None


def test_lipschitz_upper_may_be_budgeted():
    x, y = images(30)
    body = "epsilon: 0.05\nbudget: {metric: lipschitz_upper, at_most: 1.001}"
    finding = certified(body, robust_model(), x, y).finding
    assert finding.status is Status.PASS
    assert finding.metrics["lipschitz_lower"] == pytest.approx(1, rel=1e-6)
    assert finding.metrics["lipschitz_lower"] <= finding.metrics["lipschitz_upper"]
    assert certified(body.replace("1.001", "0.9"), robust_model(), x, y).finding.status is Status.FAIL


def test_float32_certifies_a_little_less_than_real_arithmetic():
    """At the narrowest radius that real arithmetic certifies, float32 no longer does; at 99 % of it, it does."""
    x, y = images(20)
    body = CERTIFIED.format(metric="vra", t=0.1)
    judged = [
        certified(f"{body}\n{extra}", robust_model(), x, y) for extra in ("arithmetic: real", "arithmetic: float32")
    ]
    real, single = (each.tables["points"]["radius"].to_numpy() for each in judged)
    findings = [each.finding for each in judged]
    assert ["float32" in " ".join(each.rests_on) for each in findings] == [False, True]
    assert ["TF32" in " ".join(each.limits) for each in findings] == [False, True]
    assert (single <= real).all()
    assert (single < real).any()
    assert (single >= 0.99 * real).all()


def test_too_few_rows_are_known_before_anything_runs():
    x, y = images(20)
    check = make_check(CertifiedRobustness, CERTIFIED.format(metric="vra", t=0.9))
    needed = check.rows_needed(20)
    assert needed == math.ceil(math.log(0.05) / math.log(0.9))
    assert (
        clopper_pearson(needed, needed, confidence=0.95).low
        >= 0.9
        > clopper_pearson(needed - 1, needed - 1, confidence=0.95).low
    )
    assert check.rows_needed(needed) is None
    with pytest.raises(Undecidable):
        certified(CERTIFIED.format(metric="vra", t=0.9), robust_model(), x, y)


def test_evidence_has_its_tables_and_images():
    x, y = images()
    for judgement in (
        certified(CERTIFIED.format(metric="vra", t=0.5), robust_model(), x, y, input_range=(0.0, 1.0)),
        attacked(CERTIFIED.format(metric="accuracy_under_attack", t=0.5), robust_model(), x, y, input_range=(0.0, 1.0)),
    ):
        finding = judgement.finding
        for evidence in finding.evidence:
            assert evidence.caption
            assert evidence.alt
            if evidence.kind == "images":
                assert all(tile.image in judgement.images for tile in evidence.tiles)
                continue
            table = judgement.tables[evidence.id]
            named = {
                "curve": lambda e: [n for s in e.series for n in (s.x, s.y)],
                "bars": lambda e: [e.label, *e.values, e.low, e.high],
                "histogram": lambda e: [e.value],
                "table": lambda e: [c.name for c in e.columns],
            }[evidence.kind](evidence)
            assert set(named) <= set(table.column_names)
        assert finding.summary.count(". ") >= 1
        assert finding.limits


def test_the_curve_is_stacked_in_order_and_ends_in_what_is_known():
    x, y = images()
    judgement = certified(CERTIFIED.format(metric="vra", t=0.5), fragile_model(), smooth(x), y)
    curve = judgement.tables["radii"].to_pydict()
    for low, middle, high in zip(curve["certified"], curve["undecided"], curve["broken"], strict=True):
        assert 0 <= low <= middle <= high <= 1
    assert curve["certified"] == sorted(curve["certified"], reverse=True)
    assert curve["undecided"][0] == judgement.finding.metrics["clean_accuracy"]


def test_a_threshold_changes_only_the_judgement():
    from tests.support import plan_check

    x, y = images(60)
    plans = [
        plan_check(make_check(CertifiedRobustness, CERTIFIED.format(metric="vra", t=t)), model=robust_model(), x=x, y=y)
        for t in (0.5, 0.6)
    ]
    first, second = ({task.digest: task.op.label for task in plan.tasks.values()} for plan in plans)
    assert {first[key] for key in first.keys() - second.keys()} == {"judge"}


def test_certified_and_attacked_share_their_attack():
    from tests.support import plan_check

    x, y = images(60)
    plans = [
        plan_check(make_check(kind, CERTIFIED.format(metric=metric, t=0.5)), model=robust_model(), x=x, y=y)
        for kind, metric in ((CertifiedRobustness, "vra"), (AttackedRobustness, "accuracy_under_attack"))
    ]
    shared = plans[0].tasks.keys() & plans[1].tasks.keys()
    assert "attack rows" in {plans[0].tasks[key].op.label for key in shared}
