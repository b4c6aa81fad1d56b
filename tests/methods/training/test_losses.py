"""The ⊥ logit says what `certify` says, under every guarantee, and its gradient moves what decides."""

import itertools

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from auditor.methods.robustness import Affinity, GloRo, Standard, TopK, certify
from auditor.methods.robustness.set_margins import set_margins
from auditor.methods.training import bottom_logit, gloro_cross_entropy, gloro_trades, verified

Guarantee = Standard | TopK | Affinity


@st.composite
def guarantees(draw: st.DrawFn, classes: int) -> Guarantee:
    kind = draw(st.sampled_from(["standard", "top-k", "affinity"]))
    if kind == "standard":
        return Standard()
    if kind == "top-k":
        return TopK(draw(st.integers(1, classes - 1)))
    members = st.sets(st.integers(0, classes - 1), min_size=1, max_size=classes - 1).map(lambda one: tuple(sorted(one)))
    return Affinity(tuple(draw(st.lists(members, max_size=5))))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, float, Guarantee]:
    """Logits [64, classes], labels, symmetric constants, a radius and a guarantee."""
    classes = draw(st.integers(2, 9))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    logits = draw(st.floats(0.1, 10)) * torch.randn(64, classes, generator=generator, dtype=torch.float64)
    constants = torch.rand(classes, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (64,), generator=generator)
    symmetric = (constants + constants.T).fill_diagonal_(0.0)
    return logits, labels, symmetric, draw(st.floats(0, 2)), draw(guarantees(classes))


def by_the_book(row: Tensor, constants: Tensor, epsilon: float, guarantee: Guarantee) -> float:
    """m of algorithms 7.1 and 7.2, class by class."""
    order = row.argsort(descending=True, stable=True).tolist()
    margins = []
    for k in range(1, len(order)):
        inside, outside = order[:k], order[k:]
        if isinstance(guarantee, Standard):
            admitted = k == 1
        elif isinstance(guarantee, TopK):
            admitted = k <= guarantee.k
        else:
            admitted = k == 1 or any(set(inside) <= set(members) for members in guarantee.sets)
        if admitted:
            pairs = itertools.product(inside, outside)
            margins.append(min(float(row[j] - row[i] - epsilon * constants[j, i]) for j, i in pairs))
    return max(margins)


@given(cases())
def test_the_margin_is_that_of_the_algorithms(case):
    logits, _, constants, epsilon, guarantee = case
    found = set_margins(logits, constants, epsilon, guarantee).left.amax(1)
    expected = [by_the_book(row, constants, epsilon, guarantee) for row in logits[:8]]
    torch.testing.assert_close(found[:8], torch.tensor(expected, dtype=torch.float64))


@given(cases())
def test_bottom_wins_exactly_where_nothing_is_certified(case):
    logits, labels, constants, epsilon, guarantee = case
    margins = set_margins(logits, constants, epsilon, guarantee)
    # `certify` gives away 1e-9 of every constant, and this logit nothing.
    clear = margins.left.abs().amin(1) > 1e-6
    assume(bool(clear.any()))
    certified = certify(logits, constants, epsilon, guarantee, labels=labels)
    extended = torch.cat((logits, bottom_logit(logits, margins)[:, None]), dim=1)
    rejected = extended.argmax(1) == logits.shape[1]
    assert torch.equal(rejected[clear], ~certified.certified[clear])
    held = certified.robust_set.gather(1, labels[:, None])[:, 0]
    assert torch.equal(verified(margins, labels)[clear], held[clear])


@given(cases())
def test_training_and_deployment_have_one_bottom(case):
    logits, _, constants, epsilon, guarantee = case
    bottom = bottom_logit(logits, set_margins(logits, constants, epsilon, guarantee))
    deployed = GloRo(torch.nn.Identity(), constants, epsilon, guarantee)(logits)[:, -1]
    torch.testing.assert_close(bottom, deployed, rtol=1e-7, atol=1e-7)


@given(cases())
def test_relaxations_never_reject_more(case):
    logits, _, constants, epsilon, _ = case
    classes = logits.shape[1]
    best = [set_margins(logits, constants, epsilon, TopK(k)).left.amax(1) for k in range(1, classes)]
    assert all(bool((looser >= tighter).all()) for tighter, looser in itertools.pairwise(best))
    singletons = Affinity(tuple((index,) for index in range(classes)))
    for same in (Standard(), singletons):
        assert torch.equal(set_margins(logits, constants, epsilon, same).left.amax(1), best[0])


@pytest.mark.parametrize(
    ("guarantee", "expected"),
    [
        (Standard(), [0.0, 1.0, 0.0, 0.0]),  # f₂ + εK, the best rival's reach
        (TopK(2), [1.0, -1.0, 1.0, 0.0]),  # f₁ − (f₂ − f₃ − εK): the pair's margin beats that of the leader alone
        (Affinity(((0, 1), (2, 3))), [1.0, -1.0, 1.0, 0.0]),
        (Affinity(((0, 2),)), [0.0, 1.0, 0.0, 0.0]),
    ],
)
def test_the_gradient_of_bottom_reaches_the_leader_and_the_decisive_margin(guarantee, expected):
    logits = torch.tensor([[3.0, 2.8, 1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    constants = torch.ones(4, 4, dtype=torch.float64).fill_diagonal_(0.0)
    bottom_logit(logits, set_margins(logits, constants, 0.5, guarantee)).sum().backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == [expected]


@pytest.mark.parametrize("guarantee", [Standard(), TopK(3), Affinity(((0, 1, 2), (3, 4)))])
@pytest.mark.parametrize("loss", ["cross-entropy", "trades"])
def test_gradients_are_those_of_finite_differences(guarantee, loss):
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    constants = torch.rand(5, 5, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 4, 0])

    def value(constants: Tensor) -> Tensor:
        bottom = bottom_logit(logits, set_margins(logits, constants, 0.4, guarantee))
        if loss == "trades":
            return gloro_trades(logits, labels, bottom, 1.3)
        return gloro_cross_entropy(logits, labels, bottom)

    assert torch.autograd.gradcheck(value, constants.requires_grad_())


def test_trades_term_is_the_divergence_of_f_from_its_extension():
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(7, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(4, (7,), generator=generator)
    bottom = torch.randn(7, generator=generator, dtype=torch.float64)
    p = logits.softmax(1)
    q = torch.cat((logits, bottom[:, None]), dim=1).softmax(1)[:, :-1]
    expected = functional.cross_entropy(logits, labels) + 1.7 * (p * (p / q).log()).sum(1).mean()
    torch.testing.assert_close(gloro_trades(logits, labels, bottom, 1.7), expected)


def test_a_thousand_classes_and_two_hundred_sets():
    generator = torch.Generator().manual_seed(6)
    logits = torch.randn(32, 1000, generator=generator, dtype=torch.float64)
    constants = 0.001 * torch.rand(1000, 1000, generator=generator, dtype=torch.float64)
    sets = torch.randint(1000, (200, 20), generator=generator).tolist()
    leading = logits.topk(4, dim=1).indices.tolist()
    guarantee = Affinity(tuple(tuple(sorted(set(one))) for one in [*sets, *leading]))
    margins = set_margins(logits, constants, 0.1, guarantee)
    assert margins.left.shape == (32, 20)
    assert margins.left[:, 1:4].isfinite().all()
    expected = [by_the_book(row, constants, 0.1, guarantee) for row in logits[:1, :]]
    torch.testing.assert_close(margins.left.amax(1)[:1], torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("guarantee", [TopK(3), Affinity(((0, 1, 2),))])
def test_the_set_of_all_classes_is_refused(guarantee):
    with pytest.raises(ValueError, match="all 3 classes"):
        set_margins(torch.zeros(1, 3), torch.ones(3, 3), 0.1, guarantee)
