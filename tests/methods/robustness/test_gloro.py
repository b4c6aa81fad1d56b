"""The abstaining model: it answers exactly where `certify` certifies, in every form in which it is deployed."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from auditor.methods.robustness import Affinity, Standard, TopK, bound_model, certify
from auditor.methods.robustness.gloro import ABSTAIN, GloRo

CLASSES = 5
GUARANTEES = (Standard(), TopK(1), TopK(3), Affinity(((0, 1), (1, 2, 3))), Affinity(()))


def constants(seed):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(CLASSES, CLASSES, generator=generator, dtype=torch.float64) * 2).fill_diagonal_(0.0)


def logits(seed, rows=60):
    """Random logits with ties, NaN, infinities and huge and tiny values among them."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(rows, CLASSES, generator=generator, dtype=torch.float64)
    drawn[::7, 1] = drawn[::7, 0]
    drawn[3::11, 2] = math.nan
    drawn[4::11, 3] = math.inf
    drawn[5::11, 3] = -math.inf
    drawn[6::11] *= 1e300
    drawn[7::11] *= 1e-300
    drawn[8::11] = 0.0
    return drawn


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(GUARANTEES), st.sampled_from([0.0, 1e-300, 0.05, 0.3, 2.0]))
def test_it_answers_where_certify_certifies_and_nowhere_else(seed, guarantee, epsilon):
    scores, bound = logits(seed), constants(seed)
    out = certify(scores, bound, epsilon, guarantee)
    net = GloRo(nn.Identity(), bound, epsilon, guarantee)
    extended = net(scores)
    assert not bool(extended.isnan().any())
    assert torch.equal(extended.argmax(1) != CLASSES, out.certified)
    ordinary = scores.isfinite().all(1)
    assert torch.equal(extended[ordinary, :CLASSES], scores[ordinary])
    predicted = net.predict(scores)
    if isinstance(guarantee, Standard):
        assert torch.equal(predicted != ABSTAIN, out.certified)
        assert torch.equal(predicted[out.certified], scores.nan_to_num().argmax(1)[out.certified])
    else:
        assert torch.equal(predicted, out.robust_set)


def test_the_last_logit_is_the_one_the_thesis_gives():
    scores, bound, epsilon = torch.tensor([[3.0, 1.0, 0.5, 0.0, -1.0]]).double(), constants(0), 0.1
    rivals = max(float(scores[0, i]) + epsilon * float(bound[0, i]) for i in range(1, CLASSES))
    assert float(GloRo(nn.Identity(), bound, epsilon)(scores)[0, -1]) == pytest.approx(rivals, rel=1e-8)


def test_a_margin_at_the_bound_of_a_radius_is_no_answer():
    bound = torch.ones(2, 2, dtype=torch.float64).fill_diagonal_(0.0)
    net = GloRo(nn.Identity(), bound, 0.25)
    at, above = torch.tensor([[0.25, 0.0]]).double(), torch.tensor([[0.2500001, 0.0]]).double()
    assert net.predict(at).tolist() == [ABSTAIN]
    assert net(at).argmax(1).tolist() == [2]
    assert net.predict(above).tolist() == [0]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, CLASSES)).eval()


def deployed(guarantee=Standard(), dtype=torch.float32):  # noqa: B008
    model = network()
    bounds = bound_model(model, (3, 2, 2), arithmetic="real" if dtype is torch.float64 else "float32")
    return GloRo(model.to(dtype), bounds.reach, 0.02, guarantee, error=bounds.error)


@pytest.mark.filterwarnings("ignore:.*get_attr")  # of torch 2.6, about the constants it lifts
@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_an_exported_net_answers_alike_at_any_batch_size(guarantee):
    net = deployed(guarantee)
    batch = torch.export.Dim("batch", min=1, max=1024)
    program = torch.export.export(net, (torch.randn(4, 3, 2, 2),), dynamic_shapes=({0: batch},))
    for rows in (1, 3, 50):
        x = torch.randn(rows, 3, 2, 2)
        assert torch.equal(program.module()(x), net(x))


def test_a_state_dict_carries_constants_and_radius():
    net = deployed()
    blank = GloRo(network(), torch.zeros_like(net.margin_constants), 0.0)
    blank.load_state_dict(net.state_dict())
    x = torch.randn(200, 3, 2, 2)
    assert torch.equal(blank(x), net(x))
    assert bool((net.predict(x) == ABSTAIN).any())
    assert bool((net.predict(x) != ABSTAIN).any())


def test_casting_the_module_leaves_its_constants_as_they_are():
    net = deployed(dtype=torch.float64)
    before = net.margin_constants.clone()
    x = torch.randn(50, 3, 2, 2)
    assert bool((net.predict(x.double()) != ABSTAIN).any())
    net.half().float()
    assert bool((net.predict(x) == ABSTAIN).all()), "the bound speaks of float64 logits alone"
    assert net.model[1].weight.dtype == torch.float32
    assert net.margin_constants.dtype == net.epsilon.dtype == torch.float64
    assert torch.equal(net.margin_constants, before)


def test_answers_within_two_radii_agree():
    """Theorem 6.2, attacked: walking from a certified input, no answer within 2ε is another one than the first."""
    net = deployed(dtype=torch.float64)
    x = torch.randn(300, 3, 2, 2, dtype=torch.float64)
    answers = net.predict(x)
    x, answers = x[answers != ABSTAIN], answers[answers != ABSTAIN]
    for scale in (0.25, 0.5, 1.0):
        point = x.clone().requires_grad_(True)
        scores = net.model(point)
        runner_up = scores.scatter(1, answers[:, None], -math.inf).amax(1)
        (direction,) = torch.autograd.grad((scores.gather(1, answers[:, None])[:, 0] - runner_up).sum(), point)
        lengths = direction.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]
        moved = net.predict(x - 2 * scale * float(net.epsilon) * direction / lengths)
        assert bool(((moved == answers) | (moved == ABSTAIN)).all())


def hidden_bias(bias):
    """f = [x, 0] by way of x + bias, which float32 rounds to a unit of the bias."""
    first, second = nn.Linear(1, 1), nn.Linear(1, 2)
    with torch.no_grad():
        first.weight.fill_(1.0)
        first.bias.fill_(bias)
        second.weight.copy_(torch.tensor([[1.0], [0.0]]))
        second.bias.copy_(torch.tensor([-bias, 0.0]))
    return nn.Sequential(first, nn.ReLU(), second).requires_grad_(False).eval()


def test_its_own_float32_logits_are_covered():
    """Float32 puts x on a grid of 2⁻³ here, so an answer at one x may be another at its neighbour's."""
    model, epsilon = hidden_bias(2.0**20), 0.01
    bounds = bound_model(model, (1,), arithmetic="float32")
    exact = bound_model(model, (1,))
    x = torch.linspace(-20, 20, 4001)[:, None]
    net = GloRo(model, bounds.reach, epsilon, error=bounds.error)
    answers = net.predict(x)
    assert bool((answers[x[:, 0].abs() < 0.05] == ABSTAIN).all())
    assert bool((answers != ABSTAIN).any())
    for step in torch.linspace(-0.99 * epsilon, 0.99 * epsilon, 41):
        flipped = net.model(x + step).argmax(1) != answers
        assert not bool((flipped & (answers != ABSTAIN)).any())
    with pytest.raises(ValueError, match="float64"):
        GloRo(model, exact.reach, epsilon, error=exact.error)


def test_nothing_is_answered_beyond_where_float32_may_overflow():
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 2)).requires_grad_(False)
    with torch.no_grad():
        model[0].weight.fill_(1e20)
        model[0].bias.zero_()
        model[1].weight.copy_(torch.tensor([[1e-30], [0.0]]))
        model[1].bias.copy_(torch.tensor([1e12, 0.0]))
    bounds = bound_model(model, (1,), arithmetic="float32")
    near, far = (GloRo(model, bounds.reach, radius, error=bounds.error) for radius in (1e14, 1e19))
    assert near.predict(torch.zeros(1, 1)).tolist() == [0]
    assert far.predict(torch.zeros(1, 1)).tolist() == [ABSTAIN]


def test_what_it_refuses():
    bound = constants(0)
    with pytest.raises(ValueError, match="never changes"):
        GloRo(nn.Identity(), bound, 0.1, TopK(CLASSES))
    with pytest.raises(ValueError, match="float32"):
        GloRo(nn.Identity(), bound.float(), 0.1)
    with pytest.raises(ValueError, match="at least 0"):
        GloRo(nn.Identity(), bound, math.nan)
    with pytest.raises(ValueError, match="evaluation mode"):
        GloRo(nn.Identity(), bound, 0.1).train()
