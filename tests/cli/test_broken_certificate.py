"""A certificate that an attack contradicts ends the audit with 4 and leaves its witness behind."""

import pyarrow.parquet as pq
import torch

from auditor.methods import robustness

CERTIFIED = """
  robust/certified:
    type: robustness.certified
    epsilon: 0.3
    attack: {pgd: {steps: 10, restarts: 1}}
    require: {metric: vra, at_least: 0.001}
  robust/lipschitz:
    type: robustness.lipschitz
    steps: 10
    restarts: 1
    budget: {metric: global_upper, at_most: 1000}
"""


def audit(project, name):
    project.add_check(CERTIFIED)
    return project.run("check", "spec.yaml", "m.pt", "-o", "out", "--no-cache", "-f", "json", "-s", f"name:{name}")


def understate(monkeypatch, factor):
    """Makes every margin bound too small by `factor`, as a mistake of ours would."""
    honest = robustness.bound_model

    def doctored(*args, **more):
        bounds = honest(*args, **more)
        return bounds._replace(margins=bounds.margins / factor)

    monkeypatch.setattr(robustness, "bound_model", doctored)


def network(project):
    weights = torch.load(project.folder / "m.pt", weights_only=True)
    model = torch.nn.Sequential(torch.nn.Linear(64, 24), torch.nn.ReLU(), torch.nn.Linear(24, 10))
    model.load_state_dict(weights)
    return model.double().requires_grad_(False)


def test_a_certified_point_that_flips(project, monkeypatch):
    understate(monkeypatch, 30)
    ended = audit(project, "robust/certified")
    assert ended.code == 4
    (finding,) = [item for item in project.results()["findings"] if item["check"] == "robust/certified"]
    assert finding["status"] == "error"
    assert finding["code"] == "certificate-broken"
    assert "do not rely on any certificate of this run" in finding["reason"]
    assert "are certified up to" in ended.out
    witness = pq.read_table(project.folder / "out" / finding["evidence"][0]["data"])
    before, after = (torch.tensor(witness[name].to_pylist()).double() for name in ("input", "adversarial"))
    model = network(project)
    assert int(model(before).argmax()) != int(model(after).argmax())
    distance = float((before - after).norm())
    assert f"at distance {distance:.6g}" in finding["reason"]
    assert 0 < distance <= 0.3


def test_a_margin_steeper_than_its_bound(project, monkeypatch):
    understate(monkeypatch, 30)
    ended = audit(project, "robust/lipschitz")
    assert ended.code == 4
    (finding,) = [item for item in project.results()["findings"] if item["check"] == "robust/lipschitz"]
    assert finding["code"] == "certificate-broken"
    witness = pq.read_table(project.folder / "out" / finding["evidence"][0]["data"])
    assert witness.column_names == ["first", "second"]


def test_the_same_audit_with_honest_bounds(project):
    assert audit(project, "robust/*").code != 4
