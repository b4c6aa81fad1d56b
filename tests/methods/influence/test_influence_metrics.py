"""Regions and the metrics over them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from auditor.methods.influence import mass, mass_lift, randomised, regions, share, top_k_overlap
from auditor.terms import AllOf, AnyOf, Border, Box, Features, Mask, Not

SHAPE = (3, 6, 8)


def boxes() -> st.SearchStrategy[Box]:
    def within(top: int, left: int) -> st.SearchStrategy[Box]:
        sides = st.tuples(st.just(top), st.just(left), st.integers(1, 6 - top), st.integers(1, 8 - left))
        return sides.map(Box)

    return st.tuples(st.integers(0, 5), st.integers(0, 7)).flatmap(lambda corner: within(*corner))


@settings(deadline=None)
@given(a=boxes(), b=boxes())
def test_regions_are_sets(a: Box, b: Box) -> None:
    inside = {region: {tuple(p) for p in _inside(region).nonzero().tolist()} for region in (a, b)}
    top, left, height, width = a.box
    assert inside[a] == {(i, j) for i in range(top, top + height) for j in range(left, left + width)}
    union, common = inside[a] | inside[b], inside[a] & inside[b]
    for region, expected in ((AnyOf((a, b)), union), (AllOf((a, b)), common)):
        if not expected or len(expected) == 48:
            with pytest.raises(ValueError, match="region is"):
                regions.mask(region, SHAPE)
        else:
            assert {tuple(p) for p in regions.mask(region, SHAPE).nonzero().tolist()} == expected


def _inside(region: Box) -> torch.Tensor:
    """The mask, also of a region that is everything, by way of its complement."""
    return regions.mask(region, SHAPE) if region.box != (0, 0, 6, 8) else torch.ones(6, 8, dtype=torch.bool)


def test_border_is_all_but_the_inner_box() -> None:
    assert torch.equal(regions.mask(Border(2), SHAPE), regions.mask(Not(Box((2, 2, 2, 4))), SHAPE))
    assert regions.mask(Border(2), SHAPE).sum() == 48 - 8


@pytest.mark.parametrize(
    ("region", "shape", "says"),
    [
        (Border(3), SHAPE, "whole input"),
        (Not(Border(3)), SHAPE, "empty"),
        (Box((4, 0, 3, 1)), SHAPE, "leaves the image of 6×8"),
        (Border(1), (12,), "regions of images"),
        (Features(("a",)), SHAPE, "regions of tables"),
        (Features(("c",)), (3,), "no feature 'c'; there are a, b"),
        (Mask("river.png"), SHAPE, "pass it in masks"),
    ],
    ids=str,
)
def test_regions_that_are_none(region, shape, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        regions.mask(region, shape, ["a", "b=x", "b=y"])


def test_features_take_their_whole_one_hot_group() -> None:
    names = ["age", "sex=f", "sex=m", "sexual_health"]
    assert regions.mask(Features(("sex",)), (4,), names).tolist() == [False, True, True, False]
    assert regions.mask(Features(("sex=f",)), (4,), names).tolist() == [False, True, False, False]
    assert regions.groups(names) == (("age", (0,)), ("sex", (1, 2)), ("sexual_health", (3,)))


def test_masks_may_differ_from_row_to_row() -> None:
    given_mask = torch.zeros(2, 6, 8, dtype=torch.bool)
    given_mask[0, 0, 0] = given_mask[1, 5, 7] = True
    chi = torch.zeros(2, 3, 6, 8)
    chi[:, 0, 0, 0], chi[:, 0, 5, 7] = 3.0, 1.0
    inside = regions.mask(Mask("m"), SHAPE, masks={"m": given_mask})
    assert mass(chi, inside).tolist() == [0.75, 0.25]
    assert mass_lift(chi, inside).tolist() == [0.75 * 48, 0.25 * 48]


def test_mass_sums_channels_before_it_takes_magnitudes() -> None:
    """A pixel whose channels cancel has no influence; a negative one speaks against the quantity."""
    chi = torch.zeros(1, 2, 1, 4)
    chi[0, :, 0, 0] = torch.tensor([5.0, -5.0])
    chi[0, :, 0, 1] = torch.tensor([2.0, 1.0])
    chi[0, :, 0, 2] = torch.tensor([-1.0, 0.0])
    left = torch.tensor([[True, True, False, False]])
    assert mass(chi, left, sign="positive").item() == 1.0
    assert mass(chi, left, sign="abs").item() == 0.75
    assert mass_lift(chi, left, sign="abs").item() == 1.5


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), sign=st.sampled_from(["positive", "abs"]))
def test_mass_is_a_share(seed: int, sign) -> None:
    """In [0, 1], 1 with its complement, and independent of scale."""
    generator = torch.Generator().manual_seed(seed)
    chi = torch.randn(4, 3, 6, 8, generator=generator)
    inside = torch.rand(6, 8, generator=generator) < 0.3
    found = mass(chi, inside, sign=sign)
    assert ((found >= 0) & (found <= 1)).all()
    torch.testing.assert_close(found + mass(chi, ~inside, sign=sign), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(mass(4 * chi, inside, sign=sign), found)


def test_nothing_to_share_out_is_undefined() -> None:
    chi = torch.stack([torch.zeros(3, 6, 8), -torch.ones(3, 6, 8)])
    inside = regions.mask(Border(1), SHAPE)
    assert mass(chi, inside, sign="positive").isnan().all()
    assert mass(chi, inside, sign="abs").isnan().tolist() == [True, False]


def test_share_treats_a_one_hot_group_as_one_feature() -> None:
    """Its columns' influences are summed before the magnitude: moving from f to m counts once."""
    chi = torch.tensor([[1.0, 2.0, -3.0]])
    inside = torch.tensor([False, True, True])
    assert share(chi, inside, groups=[[0], [1, 2]]).item() == 0.5
    assert share(chi, inside).item() == pytest.approx(5 / 6)
    assert share(chi, inside, groups=[[0], [1, 2]], scale=torch.tensor([3.0, 1.0, 1.0])).item() == 0.25
    assert share(torch.zeros(1, 3), inside).isnan().all()
    with pytest.raises(ValueError, match="only some of them"):
        share(chi, torch.tensor([False, True, False]), groups=[[0], [1, 2]])


def test_top_k_overlap_of_rows_that_agree_and_of_rows_that_do_not() -> None:
    generator = torch.Generator().manual_seed(0)
    agree = torch.rand(20, 50, generator=generator) + torch.arange(50)
    labels = torch.zeros(20, dtype=torch.int64)
    assert (top_k_overlap(agree, labels, k=10, generator=generator) == 1).all()
    noise = torch.rand(400, 50, generator=generator)
    chance = top_k_overlap(noise, torch.zeros(400, dtype=torch.int64), k=10, generator=generator)
    assert chance.mean().item() == pytest.approx(10 / 50, abs=0.03)
    alone = top_k_overlap(agree[:3], torch.tensor([0, 0, 1]), k=10, generator=generator)
    assert alone.isnan().tolist() == [False, False, True]
    with pytest.raises(ValueError, match="below the number of units"):
        top_k_overlap(agree, labels, k=50, generator=generator)


def test_top_k_overlap_never_lets_a_row_vouch_for_itself() -> None:
    """Two rows with disjoint units overlap in nothing, though each is half of the label's mean."""
    chi = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    found = top_k_overlap(chi, torch.zeros(2, dtype=torch.int64), k=2, generator=torch.Generator().manual_seed(0))
    assert found.tolist() == [0.0, 0.0]


class Scaled(nn.Module):
    """A layer of the user's own, without an initialisation to call."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-3, 5, 400))
        self.register_buffer("mean", torch.tensor([0.25]))


def test_randomised_copy() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), Scaled(), nn.Linear(4, 2)).eval()
    model[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    one, same, other = (randomised(model, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for name, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])
        if name in ("0.weight", "0.bias", "2.weight", "3.weight", "3.bias"):
            assert not torch.equal(value, before[name])
            assert not torch.equal(value, other.state_dict()[name])
    assert torch.equal(one[2].mean, model[2].mean)
    assert one[2].weight.std().item() == pytest.approx(model[2].weight.std().item(), rel=0.15)
    assert not one.training
    assert not one[0].weight.requires_grad
    assert one[3].weight.abs().max() <= 1 / math.sqrt(4)
