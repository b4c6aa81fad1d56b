"""Certificates: exact radii of linear models, what must not be certified, and how the guarantees relate."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from auditor.methods.robustness import Affinity, Standard, TopK, certify, margin_bounds


def draw(seed, rows=40, classes=6, features=8):
    generator = torch.Generator().manual_seed(seed)
    model = nn.Linear(features, classes).double()
    with torch.no_grad():
        model.weight.copy_(torch.randn(classes, features, generator=generator, dtype=torch.float64))
        model.bias.copy_(torch.randn(classes, generator=generator, dtype=torch.float64))
    x = torch.randn(rows, features, generator=generator, dtype=torch.float64)
    return model, x, model(x).detach(), margin_bounds(nn.Sequential(model), (features,))


def boundary_distance(model, x, k=1):
    """The exact distance at which the k highest classes of a linear model change."""
    logits = model(x).detach()
    order = logits.argsort(dim=1, descending=True)
    distances = torch.full((len(x),), math.inf, dtype=torch.float64)
    for row in range(len(x)):
        for j in order[row, :k]:
            for i in order[row, k:]:
                gap = (model.weight[j] - model.weight[i]).detach().norm()
                distances[row] = min(distances[row], (logits[row, j] - logits[row, i]) / gap)
    return distances


@pytest.mark.parametrize("seed", range(3))
def test_the_radius_of_a_linear_model_is_the_distance_to_its_boundary(seed):
    model, x, logits, constants = draw(seed)
    out = certify(logits, constants, 0.1)
    exact = boundary_distance(model, x)
    assert bool((out.radius <= exact).all())
    torch.testing.assert_close(out.radius, exact, rtol=1e-8, atol=0)
    assert torch.equal(out.certified, out.radius >= 0.1)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_the_radius_of_a_set_is_the_distance_at_which_it_changes(k):
    model, x, logits, constants = draw(1)
    out = certify(logits, constants, 0.1, TopK(k))
    for size in range(1, k + 1):
        torch.testing.assert_close(out.radii[:, size - 1], boundary_distance(model, x, size), rtol=1e-8, atol=0)
    assert torch.equal(out.radius, out.radii.amax(1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 2.0))
def test_guarantees_relate_as_the_thesis_says(seed, epsilon):
    _, _, logits, constants = draw(seed, rows=12)
    labels = torch.randint(0, 6, (12,), generator=torch.Generator().manual_seed(seed))

    def of(guarantee):
        return certify(logits, constants, epsilon, guarantee, labels=labels)

    standard, singletons = of(Standard()), of(Affinity(tuple((c,) for c in range(6))))
    for same in (of(TopK(1)), singletons, of(Affinity(()))):
        assert torch.equal(standard.certified, same.certified)
        assert torch.equal(standard.radius, same.radius)
        assert torch.equal(standard.vra_radius, same.vra_radius)
    previous = standard
    for k in range(2, 6):
        current = of(TopK(k))
        assert bool((current.radius >= previous.radius).all())
        assert bool((current.certified | ~previous.certified).all())
        previous = current
    every_pair = of(Affinity(((0, 1), (2, 3, 4))))
    assert bool((every_pair.radius <= of(TopK(3)).radius).all())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_certified_sets_are_nested_and_the_loosest_is_reported(seed):
    _, _, logits, constants = draw(seed, rows=12)
    labels = torch.arange(12) % 6
    for epsilon in (0.01, 0.1, 0.5):
        out = certify(logits, constants, epsilon, TopK(4), labels=labels)
        assert torch.equal(out.robust_set.sum(1), out.k)
        assert torch.equal(out.certified, out.k > 0)
        holds = out.robust_set.gather(1, labels[:, None])[:, 0]
        assert torch.equal(holds, (out.vra_radius >= epsilon) & (out.vra_radius > 0))


def test_vra_falls_with_epsilon():
    _, _, logits, constants = draw(0, rows=200)
    labels = logits.argmax(1)
    shares = [
        float(certify(logits, constants, epsilon, TopK(2), labels=labels).certified.double().mean())
        for epsilon in (0.01, 0.05, 0.2, 0.5, 1.0)
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[-1]


def two_classes(constant=1.0):
    return torch.tensor([[0.0, constant], [constant, 0.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    "row", [[1.0, 1.0], [math.nan, 0.0], [0.0, math.nan], [math.inf, 0.0], [0.0, -math.inf], [math.inf, math.inf]]
)
def test_ties_and_non_finite_logits_are_not_certified(row):
    out = certify(torch.tensor([row], dtype=torch.float64), two_classes(), 0.0)
    assert not bool(out.certified.any())
    assert float(out.radius) == 0
    assert int(out.k) == 0
    assert not bool(out.robust_set.any())


@pytest.mark.parametrize("constant", [math.inf, math.nan])
def test_a_constant_that_is_no_number_certifies_nothing(constant):
    out = certify(torch.tensor([[5.0, 0.0]], dtype=torch.float64), two_classes(constant), 0.0)
    assert not bool(out.certified.any())


@pytest.mark.parametrize("constant", [5e-324, 1e-300, 1e300])
@pytest.mark.parametrize("margin", [5e-324, 1e-308, 1.0, 1e300])
def test_extreme_margins_and_constants_never_give_too_large_a_radius(constant, margin):
    from fractions import Fraction

    out = certify(torch.tensor([[margin, 0.0]], dtype=torch.float64), two_classes(constant), 0.0)
    radius = float(out.radius)
    assert math.isfinite(radius)
    assert Fraction(radius) * Fraction(constant) < Fraction(margin)


def test_the_error_of_the_logits_is_subtracted():
    logits = torch.tensor([[1.0, 0.0]], dtype=torch.float32)
    out = certify(logits, two_classes(), 0.1, logits_error=0.1)
    assert float(out.radius) == pytest.approx(1 - 0.1 * math.sqrt(2), rel=1e-8)
    drowned = certify(logits, two_classes(), 0.1, logits_error=torch.tensor([0.8]))
    assert not bool(drowned.certified.any())
    unknown = certify(logits, two_classes(), 0.1, logits_error=torch.tensor([math.nan]))
    assert not bool(unknown.certified.any())


def test_a_batch_is_certified_row_by_row(monkeypatch):
    _, _, logits, constants = draw(2, rows=50)
    whole = certify(logits, constants, 0.2, TopK(3))
    monkeypatch.setattr("auditor.methods.robustness.certificates.PAIRS", 100)
    parts = certify(logits, constants, 0.2, TopK(3))
    assert torch.equal(whole.radii, parts.radii)
    assert len(certify(logits[:0], constants, 0.2).certified) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"logits": torch.zeros(2, 2)}, "float64"),
        ({"margin_constants": torch.zeros(2, 2)}, "margin constants"),
        ({"margin_constants": torch.zeros(3, 3, dtype=torch.float64)}, "margin constants"),
        ({"epsilon": math.nan}, "epsilon"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"guarantee": TopK(2)}, "all 2 classes"),
        ({"guarantee": Affinity(((0, 1),))}, "all 2 classes"),
    ],
)
def test_questions_that_make_no_sense_are_refused(change, said):
    arguments = {"logits": torch.zeros(2, 2).double(), "margin_constants": two_classes(), "epsilon": 0.1, **change}
    with pytest.raises(ValueError, match=said):
        certify(**arguments)


def voronoi(points, labels, x):
    """Minus half the distance to each class's nearest point (after thesis A.2)."""
    distance = torch.cdist(x, points)
    return torch.stack([-distance[:, labels == c].amin(1) / 2 for c in range(int(labels.max()) + 1)], 1)


def test_the_voronoi_classifier_certifies_every_point_up_to_half_the_separation():
    """Its margins have Lipschitz constant 1, so points of the set are certified up to half their separation."""
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    labels = torch.arange(40) % 3
    constants = torch.ones(3, 3, dtype=torch.float64) - torch.eye(3, dtype=torch.float64)
    out = certify(voronoi(points, labels, points), constants, 0.0, labels=labels)
    other = torch.cdist(points, points).masked_fill(labels[:, None] == labels[None], math.inf).amin(1)
    torch.testing.assert_close(out.radius, other / 2, rtol=1e-7, atol=1e-8)
    assert torch.equal(out.radius, out.vra_radius)
