import torch
from hypothesis import given
from hypothesis import strategies as st

from auditor.methods.privacy import cross_fitted, loss_scores, naive_scores


def test_scores_in_closed_form():
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    labels = torch.tensor([0, 0, 1])
    assert naive_scores(logits, labels).tolist() == [1.0, 0.0, 0.0]
    torch.testing.assert_close(loss_scores(logits, labels), torch.tensor([2.0, -2.0, 0.0], dtype=torch.float64))


def test_loss_scores_rank_as_the_loss_does():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(200, 7, generator=generator), torch.randint(7, (200,), generator=generator)
    loss = torch.nn.functional.cross_entropy(logits.double(), labels, reduction="none")
    assert torch.equal(loss_scores(logits, labels).argsort(), (-loss).argsort())
    p = (-loss).exp()
    torch.testing.assert_close(loss_scores(logits, labels), (p / (1 - p)).log())


def test_loss_scores_tell_rows_apart_whose_probability_rounds_to_one():
    logits = torch.zeros(4, 10)
    logits[:, 0] = torch.tensor([34.0, 38.0, 50.0, 90.0])
    assert (loss_scores(logits, torch.zeros(4, dtype=torch.int64)).diff() > 0).all()


def test_separated_scores_are_told_apart():
    member = torch.arange(400) < 200
    scores = torch.where(member, 1.0, -1.0) + 0.1 * torch.rand(400, generator=torch.Generator().manual_seed(0))
    taken = cross_fitted(scores.double(), member, seed=0)
    assert torch.equal(taken, member)


@given(st.integers(0, 10_000))
def test_a_row_has_no_part_in_its_own_threshold(seed):
    """Changing one row's score to anything changes the decision of no row of its own half but itself."""
    generator = torch.Generator().manual_seed(seed)
    member = torch.arange(60) < 30
    scores = torch.randn(60, generator=generator, dtype=torch.float64)
    before = cross_fitted(scores, member, seed=seed)
    for value in (-10.0, 10.0):
        changed = scores.clone()
        changed[7] = value
        after = cross_fitted(changed, member, seed=seed)
        assert bool(after[7]) is (value > 0)
        moved = (before != after).nonzero().flatten().tolist()
        others = [row for row in moved if row != 7]
        fold = _fold(member, seed)
        assert all(fold[row] != fold[7] for row in others)


def _fold(member, seed):
    generator = torch.Generator().manual_seed(seed)
    fold = torch.zeros(len(member), dtype=torch.int64)
    for side in (member, ~member):
        rows = side.nonzero().flatten()
        fold[rows[torch.randperm(len(rows), generator=generator)[: len(rows) // 2]]] = 1
    return fold


def test_noise_gives_no_advantage_on_average():
    """The largest advantage over thresholds is about 0.1 at this size even without a leak; cross-fitting removes it."""
    member = torch.arange(284) < 142
    gaps = []
    for seed in range(200):
        scores = torch.randn(284, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        taken = cross_fitted(scores, member, seed=seed)
        gaps.append(float(taken[member].double().mean() - taken[~member].double().mean()))
    gaps = torch.tensor(gaps)
    assert abs(gaps.mean()) < 4 * gaps.std() / 200**0.5


def test_a_tie_is_no_advantage_and_nan_is_no_member():
    member = torch.arange(100) < 50
    constant = cross_fitted(torch.zeros(100, dtype=torch.float64), member, seed=0)
    assert constant.all() or not constant.any()
    scores = torch.where(member, 1.0, 0.0).double()
    scores[:5] = torch.nan
    assert not cross_fitted(scores, member, seed=0)[:5].any()
