"""What rules rows out is never above a distance, and close enough to rule most of them out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.methods.robustness.nearness import BOUNDS, pair_distances

SHAPES = [(1,), (5,), (700,), (3, 40), (1, 8, 8), (2, 16, 24), (3, 7, 90), (2, 3, 4, 20)]


def every_distance(x, norm):
    flat = x.flatten(1).double()
    difference = flat[:, None] - flat[None]
    return difference.abs().amax(2) if norm == "linf" else difference.norm(dim=2)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6), st.sampled_from(SHAPES), st.sampled_from([1e-30, 1e-3, 1.0, 1e18]),
    st.sampled_from([0, 1e4]), st.booleans(),
)  # fmt: skip
def test_no_bound_is_above_the_distance(norm, seed, shape, scale, far, wide):
    """Of rows far from the origin, of tiny and of huge ones, of equal ones and of ones a rounding apart."""
    generator = torch.Generator().manual_seed(seed)
    x = scale * (far + torch.randn(9, *shape, generator=generator, dtype=torch.float64 if wide else torch.float32))
    x[1], x[2] = x[0], x[0] * (1 + 2.0**-22)
    exact = every_distance(x, norm)
    below = BOUNDS[norm](x)
    assert bool((below.of(torch.arange(9)) <= exact).all())
    row, other = torch.triu_indices(9, 9, 1)
    for finer in below.finer:
        assert bool((finer(row, other) <= exact[row, other]).all())
    torch.testing.assert_close(
        pair_distances(x.flatten(1), row, other, norm, torch.float64), exact[row, other], rtol=1e-12, atol=0
    )


@pytest.mark.parametrize(("norm", "least"), [("l2", 0.99), ("linf", 0.3)])
def test_bounds_are_not_far_below_the_distances_of_smooth_images(norm, least):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(20, 3, 4, 4, generator=generator)
    x = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")
    exact = every_distance(x, norm).fill_diagonal_(1.0)
    bounds = BOUNDS[norm](x).of(torch.arange(20)).fill_diagonal_(1.0)
    assert float((bounds / exact).median()) > least


def test_products_stay_in_float64_where_float32_is_made_less():
    x = torch.rand(6, 50)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert BOUNDS["l2"](x).rows.dtype == torch.float64
    assert BOUNDS["l2"](x).rows.dtype == torch.float32
