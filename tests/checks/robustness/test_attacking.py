"""The attack that checks share: both norms, networks without a bound, and effort where it can change something."""

import pytest
import torch
from torch import nn

from auditor.checks.robustness.attacked import AttackedRobustness
from auditor.checks.robustness.attacking import SWIFT_STEPS
from auditor.methods.robustness import attacks
from auditor.records import Status
from tests.checks.robustness.test_robustness_checks import fragile_model, images, robust_model, smooth
from tests.support import make_check, run_check

BODY = "norm: {norm}\nepsilon: {epsilon}\nrequire: {{metric: accuracy_under_attack, at_least: 0.8}}"


def attacked(model, epsilon, norm="l2", more=""):
    x, y = images()
    check = make_check(AttackedRobustness, BODY.format(norm=norm, epsilon=epsilon) + more)
    return run_check(check, model=model, x=smooth(x), y=y)


@pytest.mark.parametrize(("norm", "epsilon"), [("l2", 0.05), ("linf", 0.01)])
def test_the_fragile_model_fails_and_its_clean_twin_passes(norm, epsilon):
    clean, fragile = (attacked(model, epsilon, norm).finding for model in (robust_model(), fragile_model()))
    assert (clean.status, fragile.status) == (Status.PASS, Status.FAIL)
    assert {"l2": "ℓ₂", "linf": "ℓ∞"}[norm] in (fragile.threat_model or "")


def test_in_linf_a_linear_model_falls_exactly_where_it_must():
    x, _ = images()
    points = attacked(robust_model(), 0.03, "linf").tables["points"].to_pydict()
    logits = robust_model().double()(smooth(x).double()).detach()
    # Each of 64 pixels weighs 1/8 in the margin, so ‖w₀ − w₁‖₁ = 8.
    exact = (logits[:, 0] - logits[:, 1]).abs() / 8
    fell = 0
    for row, distance in enumerate(points["distance"]):
        if points["label"][row] != points["predicted"][row]:
            continue
        assert (distance is not None) == (float(exact[row]) < 0.03 * (1 - 1e-5))
        if distance is not None:
            fell += 1
            assert float(exact[row]) <= distance * (1 + 1e-9)
            assert distance <= float(exact[row]) + 1e-4
    assert fell > 0


def test_a_network_without_a_bound_is_attacked_with_all_strength():
    class Sorted(nn.Module):
        def forward(self, x):
            return x.cumsum(-1).sort(-1).values

    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), Sorted(), nn.Linear(8, 2)).eval()
    finding = attacked(model, 0.5).finding
    assert finding.metrics["accuracy_under_attack"] < finding.metrics["clean_accuracy"]


def test_proved_rows_are_attacked_too_but_briefly(monkeypatch):
    efforts = []
    honest = attacks.pgd

    def watched(model, inputs, **options):
        efforts.append((len(inputs), options["steps"], options["restarts"], options["targets"]))
        return honest(model, inputs, **options)

    monkeypatch.setattr(attacks, "pgd", watched)
    finding = attacked(robust_model(), 0.05, more="\nattack: {pgd: {steps: 30, restarts: 2, targets: 1}}").finding
    assert finding.n is not None
    (undecided, *whole), (proved, *brief) = efforts
    assert whole == [30, 2, 1]
    assert brief == [SWIFT_STEPS, 1, 1]
    assert 0 < undecided < proved
    assert undecided + proved == round(finding.metrics["clean_accuracy"] * finding.n)
    broken = finding.metrics["clean_accuracy"] - finding.metrics["accuracy_under_attack"]
    assert broken * finding.n == pytest.approx(undecided)


def test_targets_are_part_of_the_attack_as_a_spec_writes_it():
    check = make_check(AttackedRobustness, BODY.format(norm="l2", epsilon=0.1) + "\nattack: {pgd: {targets: 0}}")
    assert (check.attack.steps, check.attack.restarts, check.attack.targets) == (50, 5, 0)
