"""`method: crown`, end to end: what the constant leaves open is proved row by row, and never silently."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from auditor.checks.robustness.certified import CertifiedRobustness
from auditor.checks.robustness.linear import CHUNK, OpenSets, bound_linearly, find_open
from auditor.errors import CertificateBroken, Unsupported
from auditor.methods.robustness import linear_bounds
from auditor.methods.robustness.linear_bounds import LocallyCertified
from auditor.records import Curve, EvidenceKind, ImageGrid, Status
from auditor.run import Store
from tests.checks.robustness.test_robustness_checks import images, robust_model, three_class_model
from tests.support import make_check, plan_check, run_check

BODY = """\
epsilon: 0.05
method: crown
attack: {pgd: {steps: 10, restarts: 2}}
require: {metric: vra, at_least: 0.5}
"""
CONSTANT = BODY.replace("crown", "lipschitz")


def stretched(model, last=None):
    """The same function of inputs in [0, 1]: pixels are multiplied by powers of two and divided again beyond a ReLU
    that never acts, so that the layers' constants multiply to 16 times what the function needs.
    """
    head = model[-1]
    scale = 2.0 ** (torch.arange(64) % 5)
    first, second = nn.Linear(64, 64), nn.Linear(64, head.out_features)
    with torch.no_grad():
        first.weight.copy_(torch.diag(scale))
        first.bias.fill_(64.0)
        second.weight.copy_(head.weight / scale)
        second.bias.copy_(head.bias - second.weight.double().sum(1) * 64)
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), second, *([last] if last else [])).eval()


def judged(body=BODY, model=None, count=100, **more):
    x, y = images(count)
    return run_check(make_check(CertifiedRobustness, body), model=model or stretched(robust_model()), x=x, y=y, **more)


def watched(monkeypatch, answer=None):
    """What `certify_locally` is asked, and `answer(wanted)` instead of its own answer."""
    asked, honest = [], linear_bounds.certify_locally

    def certify(network, inputs, epsilon, norm, wanted, orders, **options):
        asked.append((inputs, wanted, orders, options))
        if answer is None:
            return honest(network, inputs, epsilon, norm, wanted, orders, **options)
        held, exhausted = answer(wanted)
        return LocallyCertified(held, torch.zeros(held.shape, dtype=torch.float64), exhausted)

    monkeypatch.setattr(linear_bounds, "certify_locally", certify)
    return asked


@pytest.mark.parametrize("arithmetic", ["real", "float32"])
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_what_layers_lose_is_won_back(norm, arithmetic):
    body = BODY + f"norm: {norm}\narithmetic: {arithmetic}\n"
    body = body if norm == "l2" else body.replace("0.05", "0.00625")
    bare = judged(body.replace("crown", "lipschitz")).finding
    judgement = judged(body)
    finding, points = judgement.finding, judgement.tables["points"].to_pydict()
    assert finding.evidence_kind is EvidenceKind.CERTIFIED
    assert (bare.status, finding.status) == (Status.FAIL, Status.PASS) or bare.metrics["vra"] < finding.metrics["vra"]
    logits = robust_model().double()(images(100)[0].double()).detach().numpy()
    right = logits.argmax(1) == np.arange(100) % 2
    # In the 2-norm the margin changes by 1 per unit, in the ∞-norm by 8.
    exact = np.abs(logits[:, 0] - logits[:, 1]) / (1 if norm == "l2" else 8)
    epsilon = 0.05 if norm == "l2" else 0.00625
    clear = np.abs(exact - epsilon) > 1e-3 * epsilon
    assert (np.array(points["certified"]) == (exact >= epsilon))[clear].all()
    assert finding.metrics["vra"] == pytest.approx(np.mean(right & (exact >= epsilon)), abs=0.011)
    assert finding.metrics["certified_locally"] > 0
    shares = finding.metrics["certified_globally"] + finding.metrics["certified_locally"]
    assert shares == pytest.approx(1 - finding.metrics["rejection_rate"])
    assert finding.metrics["certified_globally"] == pytest.approx(1 - bare.metrics["rejection_rate"])
    assert finding.metrics["vra_locally"] == pytest.approx(finding.metrics["vra"] - bare.metrics["vra"])
    assert judgement.proved is not None
    assert judgement.proved.claim.locally == round(finding.metrics["certified_locally"] * 100)


def test_a_row_that_linear_bounds_prove_has_the_radius_they_were_asked_for():
    constant, crown = (judged(body).tables["points"].to_pydict() for body in (CONSTANT, BODY))
    for before, after, locally in zip(constant["radius"], crown["radius"], crown["locally"], strict=True):
        assert after == (0.05 if locally else before)
    assert any(crown["locally"])


def test_the_curve_ends_linear_bounds_at_the_radius_they_were_asked_for():
    judgement = judged()
    curve = judgement.tables["radii"].to_pydict()
    metrics, proved = judgement.finding.metrics, dict(zip(curve["epsilon"], curve["certified"], strict=True))
    assert proved[0.05] == pytest.approx(metrics["vra"])
    beyond = proved[float(np.nextafter(0.05, 1))]
    assert beyond == pytest.approx(metrics["vra"] - metrics["vra_locally"], abs=0.02)
    assert curve["certified"] == sorted(curve["certified"], reverse=True)
    drawn = next(item for item in judgement.finding.evidence if item.id == "radii")
    assert isinstance(drawn, Curve)
    assert "count up to it only" in (drawn.detail or "")
    kinds = {body: [item.id for item in judged(body).finding.evidence] for body in (BODY, CONSTANT)}
    assert ("radius" in kinds[BODY], "radius" in kinds[CONSTANT]) == (metrics["vra_locally"] < metrics["vra"], True)


def test_rows_shown_as_narrow_are_those_whose_radius_is_known():
    judgement = judged(BODY.replace("0.05", "0.3"))
    points = {point["index"]: point for point in judgement.tables["points"].to_pylist()}
    shown = next(item for item in judgement.finding.evidence if item.id == "narrowest")
    assert isinstance(shown, ImageGrid)
    assert shown.tiles
    for tile in shown.tiles:
        assert not points[int(tile.note.split(",")[0].removeprefix("row "))]["locally"]


def test_the_same_network_without_a_detour_costs_nothing(monkeypatch):
    asked = watched(monkeypatch)
    body = BODY.replace("0.05", "0.001")
    x, y = images(100)
    keep = (robust_model()(x).diff(dim=1).abs() > 0.01).flatten() & (robust_model()(x).argmax(1) == y)
    finding = run_check(make_check(CertifiedRobustness, body), model=robust_model(), x=x[keep], y=y[keep]).finding
    assert finding.metrics["vra"] == 1.0
    assert finding.metrics["certified_locally"] == 0.0
    assert not asked
    assert "linear bounds around the row 0" in finding.summary
    assert not any("linear bounds" in text.lower() for text in finding.limits)


def test_only_open_sets_are_tried_and_one_refuted_row_a_chunk(monkeypatch):
    asked = watched(monkeypatch)
    x, y = images(100)
    y[:20] = 1 - y[:20]
    check = make_check(CertifiedRobustness, BODY.replace("0.05", "0.6"))
    points = run_check(check, model=robust_model(), x=x, y=y).tables["points"].to_pylist()
    # A linear model's constant is exact: what is right and not certified, the attack breaks. It leaves wrong rows be.
    unknown = sum(point["predicted"] != point["label"] and not point["certified"] for point in points)
    broken = sum(point["predicted"] == point["label"] and not point["certified"] for point in points)
    tried = sum(len(inputs) for inputs, *_ in asked)
    assert unknown > 0
    assert broken > -(-100 // CHUNK)
    assert unknown < tried <= unknown + -(-100 // CHUNK)


def test_a_false_bound_stops_the_audit(monkeypatch):
    watched(monkeypatch, lambda wanted: (wanted, torch.zeros(len(wanted), dtype=torch.bool)))
    with pytest.raises(CertificateBroken, match=r"certified up to 0\.2, yet change at distance") as broken:
        judged(BODY.replace("0.05", "0.2"))
    witness = {name: torch.from_numpy(values) for name, values in broken.value.witness.items()}
    model = robust_model()
    assert int(model(witness["input"][None]).argmax()) != int(model(witness["adversarial"][None]).argmax())


def test_a_bound_that_is_false_by_little_is_tried_where_it_shows(monkeypatch):
    from auditor.methods.robustness.linear_bounds import certifying

    honest = certifying.by_size
    monkeypatch.setattr(certifying, "by_size", lambda *args: honest(*args) + 0.02)
    x, y = images(100)
    with pytest.raises(CertificateBroken):
        run_check(make_check(CertifiedRobustness, BODY.replace("0.05", "0.6")), model=robust_model(), x=x, y=y)


def test_rows_that_run_out_of_time_are_counted_and_said(monkeypatch):
    watched(monkeypatch, lambda wanted: (torch.zeros_like(wanted), wanted.any(1)))
    judgement = judged(BODY.replace("crown", "{crown: {seconds: 0.5}}"))
    finding = judgement.finding
    assert finding.metrics["certified_locally"] == 0.0
    assert 0 < finding.metrics["out_of_time"] <= finding.metrics["rejection_rate"]
    late = round(100 * finding.metrics["out_of_time"])
    assert any(f"For {late} undecided row" in text and "0.5\u202fs" in text for text in finding.limits)
    assert judgement.proved is None or judgement.proved.claim.locally == 0


def test_seconds_reach_the_bounds(monkeypatch):
    asked = watched(monkeypatch)
    judged(BODY.replace("crown", "{crown: {seconds: 0.25}}"))
    assert asked
    assert {options["seconds"] for *_, options in asked} == {0.25}


@pytest.mark.parametrize("guarantee", ["standard", "{top_k: 3}", "{affinity: pairs}"])
def test_relaxed_guarantees_gain_too_and_keep_their_meaning(guarantee):
    x, _ = images(60)
    plain = three_class_model()
    order = plain(x).argsort(dim=1, descending=True)
    y = order[torch.arange(60), torch.arange(60) % 3]
    sets = {"pairs": [["0", "1"], ["2", "3", "4"]]}
    found = {}
    for name, model, method in (
        ("exact", plain, "lipschitz"), ("constant", stretched(plain), "lipschitz"), ("crown", stretched(plain), "crown")
    ):  # fmt: skip
        body = BODY.replace("crown", method) + f"guarantee: {guarantee}\n"
        found[name] = run_check(make_check(CertifiedRobustness, body), model=model, x=x, y=y, sets=sets)
    vra = {name: judgement.finding.metrics["vra"] for name, judgement in found.items()}
    assert vra["constant"] < vra["crown"]
    assert vra["crown"] == pytest.approx(vra["exact"], abs=0.02)
    points, exact = (found[name].tables["points"].to_pylist() for name in ("crown", "exact"))
    for point, other in zip(points, exact, strict=True):
        assert len(point["robust_set"]) == point["k"]
        assert point["certified"] == (point["k"] > 0)
        assert (point["vra_radius"] >= 0.05) == (point["label"] in point["robust_set"])
        assert set(point["robust_set"]) <= set(other["robust_set"])


def test_it_is_one_task_a_chunk_and_resumes(tmp_path):
    x, y = images(100)
    check = make_check(CertifiedRobustness, BODY)
    model = stretched(robust_model())
    chunks = [task for task in plan_check(check, model=model, x=x, y=y).tasks.values() if task.op is bound_linearly]
    assert len(chunks) == -(-100 // CHUNK)
    store = Store(tmp_path)
    first = run_check(check, model=model, x=x, y=y, store=store)
    relaxed = make_check(CertifiedRobustness, BODY.replace("at_least: 0.5", "at_least: 0.1"))
    assert {task.digest for task in chunks} <= set(plan_check(relaxed, model=model, x=x, y=y).tasks)
    assert run_check(check, model=model, x=x, y=y, store=store).finding == first.finding


def test_a_row_is_proved_alike_whichever_others_are_selected():
    everything = judged().tables["points"].to_pylist()
    some = judged(BODY + 'where: {label: "1"}\n').tables["points"].to_pylist()
    assert some == [point for point in everything if point["label"] == 1]


def test_a_layer_without_linear_bounds_is_named_where_it_matters():
    class Vouched(nn.Module):
        def forward(self, x):
            return x.sort(dim=1).values

    model = stretched(robust_model(), last=Vouched())
    with pytest.raises(Unsupported) as refused:
        judged(model=model, assumed={"4": 1.0})
    assert "4" in (refused.value.node or "")


def test_sets_are_open_until_a_certified_one_holds_the_label():
    from auditor.checks.robustness.certifying import CertifiedRows
    from auditor.methods.robustness import certify
    from auditor.methods.robustness.attacks import Adversarial
    from auditor.terms import TopK

    logits = torch.tensor([[9.0, 8.0, 1.0, 0.0], [9.0, 8.0, 1.0, 0.0], [9.0, 1.0, 0.5, 0.0]], dtype=torch.float64)
    label, rank = torch.tensor([1, 2, 1]), torch.tensor([1, 2, 1])
    constants = 1.0 - torch.eye(4, dtype=torch.float64)
    certificates = certify(logits, constants, 5.0, TopK(3), labels=label)
    never = Adversarial(torch.zeros(3, dtype=torch.bool), torch.full((3,), torch.inf), label, torch.empty(0, 4))
    third = never._replace(found=torch.tensor([False, True, False]), distance=torch.tensor([torch.inf, 1.0, torch.inf]))
    rows = CertifiedRows(logits.argmax(1), label, rank, certificates)
    found = find_open(certified=rows, attacks=(never, never, third), epsilon=5.0)
    # F² is certified in the first two rows, and holds the label of the first; F¹ in the third, without its label.
    assert isinstance(found, OpenSets)
    assert found.undecided.tolist() == [[False, False, False], [False, False, False], [False, True, True]]
    assert found.refuted.tolist() == [[False, False, False], [False, False, True], [False, False, False]]
    assert found.distance.tolist() == [-math.inf, 1.0, -math.inf]
