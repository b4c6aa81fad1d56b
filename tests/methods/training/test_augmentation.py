import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from auditor.methods.training import Augmentation
from auditor.methods.training.augmentation import augmented


def ramp(rows: int = 64, height: int = 6, width: int = 10) -> torch.Tensor:
    """Images [rows, 2, height, width] of two ramps, across and down, in [0, 1]."""
    across = torch.linspace(0, 1, width).expand(height, width)
    down = torch.linspace(0, 1, height)[:, None].expand(height, width)
    return torch.stack((across, down)).expand(rows, 2, height, width).contiguous()


def changed(images: torch.Tensor, seed: int = 0, **options) -> torch.Tensor:
    return augmented(images, Augmentation(**options), generator=torch.Generator().manual_seed(seed))


def test_half_of_the_images_are_flipped_exactly():
    images = torch.rand(400, 3, 5, 7)
    found = changed(images, flip=True)
    flipped, kept = (found == images.flip(3)).flatten(1).all(1), (found == images).flatten(1).all(1)
    assert (flipped ^ kept).all()
    assert 150 < flipped.sum() < 250


def test_shifts_are_of_whole_pixels_up_to_a_share_of_each_side():
    images = ramp(height=10, width=20)
    found = changed(images, shift=0.2)
    steps = (found - images)[:, :, 4, 10] / torch.tensor([1 / 19, 1 / 9])
    torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)
    assert set(steps[:, 0].round().int().tolist()) == set(range(-4, 5))
    assert set(steps[:, 1].round().int().tolist()) == set(range(-2, 3))


def test_turning_moves_the_ramps_into_each_other_whatever_the_shape():
    found = changed(ramp(height=8, width=24), rotate=20.0)
    centre = found[:, :, 3:5, 11:13]
    across = (centre[:, 0, :, 1] - centre[:, 0, :, 0]).mean(1) * 23
    aslant = (centre[:, 0, 1] - centre[:, 0, 0]).mean(1) * 23
    torch.testing.assert_close(across.square() + aslant.square(), torch.ones(64), rtol=1e-3, atol=1e-3)
    angles = torch.rad2deg(torch.atan2(aslant, across))
    assert angles.abs().max() <= 20
    assert angles.abs().max() > 15
    down = (centre[:, 1, 1] - centre[:, 1, 0]).mean(1) * 7
    torch.testing.assert_close(down, across, rtol=1e-3, atol=1e-3)


def test_zooming_scales_both_ramps_alike():
    found = changed(ramp(height=8, width=24), zoom=0.25)
    across = (found[:, 0, 4, 12] - found[:, 0, 4, 11]) * 23
    down = (found[:, 1, 4, 12] - found[:, 1, 3, 12]) * 7
    torch.testing.assert_close(across, down, rtol=1e-3, atol=1e-3)
    assert 0.75 <= across.min() < 0.8
    assert 1.2 < across.max() <= 1.25


def test_brightness_is_one_number_an_image_and_stays_in_the_box():
    images = torch.full((200, 3, 4, 4), 0.5)
    found = changed(images, brightness=0.2, box=(0.0, 1.0))
    assert torch.equal(found, found[:, :1, :1, :1].expand_as(found))
    assert 0.3 <= found.min() < 0.33
    assert 0.67 < found.max() <= 0.7
    assert changed(torch.ones(9, 1, 2, 2), brightness=0.9, box=(0.0, 1.0)).max() <= 1


@given(st.integers(0, 2**31))
def test_values_stay_within_those_of_the_image_and_draws_follow_the_generator(seed):
    images = torch.rand(5, 1, 7, 4, generator=torch.Generator().manual_seed(seed))
    options = {"flip": True, "shift": 0.3, "rotate": 90.0, "zoom": 0.5}
    found = changed(images, seed, **options)
    assert torch.equal(found, changed(images, seed, **options))
    assert found.min() >= images.min() - 1e-6
    assert found.max() <= images.max() + 1e-6


def test_brightness_without_a_box_is_refused():
    with pytest.raises(ValueError, match="box"):
        Augmentation(brightness=0.1)
