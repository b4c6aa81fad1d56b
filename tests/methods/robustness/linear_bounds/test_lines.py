"""Lines enclose their activation on the whole interval, to the last bit where that can be told."""

from fractions import Fraction

import pytest
import torch
from torch import nn

from auditor.methods.robustness.graph import Node
from auditor.methods.robustness.linear_bounds.curvature import shape
from auditor.methods.robustness.linear_bounds.lines import graph
from tests.methods.robustness.linear_bounds.activations import CONFIGURED


def drawn(layer, low, high):
    node = Node("act", layer.double(), (0,), low.shape[1:], low.shape[1:], None)
    with torch.no_grad():
        return graph(node, shape(layer), low, high)


def intervals(seed, rows=400):
    """Narrow and wide ones, near and far, some around a kink by a hair."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.randn(rows, 3, generator=generator, dtype=torch.float64)
    centre = centre * 10.0 ** torch.randint(-3, 3, (rows, 3), generator=generator)
    width = 10.0 ** (8 * torch.rand(rows, 3, generator=generator, dtype=torch.float64) - 6)
    return centre - width, centre + width * torch.rand(rows, 3, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("layer", CONFIGURED, ids=str)
def test_lines_and_range_enclose_the_function(layer):
    low, high = intervals(0)
    made = drawn(layer, low, high)
    lines, (least, largest) = made.lines(), made.range()
    loosest = torch.zeros_like(low)
    for share in torch.linspace(0, 1, 301, dtype=torch.float64):
        x = (low + share * (high - low)).clamp(low, high)
        with torch.no_grad():
            value = layer.double()(x.clone())
        slack = 1e-14 * (1 + x.abs() + value.abs()) * 4
        below, above = lines.lower_slope * x + lines.lower_offset, lines.upper_slope * x + lines.upper_offset
        assert bool((below <= value + slack).all())
        assert bool((above >= value - slack).all())
        assert bool((least <= value + slack).all())
        assert bool((largest >= value - slack).all())
        loosest = torch.maximum(loosest, above - below)
    # And are worth something: no farther apart than the function's range, by the chord.
    assert bool((loosest <= 2.0 * (largest - least) + 1e-2 + 1e-9 * (low.abs() + high.abs())).all())


@pytest.mark.parametrize("layer", CONFIGURED, ids=str)
def test_any_slope_between_the_touching_ones_is_sound(layer):
    low, high = intervals(1, 100)
    made = drawn(layer, low, high)
    for share in (0.0, 0.3, 1.0):
        for ends, offset, sign in (
            (made.lower_slopes(), made.lower_offset, 1),
            (made.upper_slopes(), made.upper_offset, -1),
        ):
            slope = ends[0] + share * (ends[1] - ends[0])
            shift = offset(slope)
            for place in torch.linspace(0, 1, 97, dtype=torch.float64):
                x = (low + place * (high - low)).clamp(low, high)
                with torch.no_grad():
                    value = layer.double()(x.clone())
                slack = 1e-14 * (1 + x.abs() * (1 + slope.abs()) + value.abs()) * 4
                assert bool((sign * (slope * x + shift) <= sign * value + slack).all())


def test_relu_lines_hold_exactly():
    """In rational arithmetic, at the ends and the kink, for ends of very different size."""
    generator = torch.Generator().manual_seed(0)
    scale = 2.0 ** torch.randint(-60, 60, (500, 2), generator=generator).double()
    ends = torch.rand(500, 2, generator=generator, dtype=torch.float64) * scale
    low, high = -ends[:, :1], ends[:, 1:]
    made = drawn(nn.ReLU(), low, high)
    lines = made.lines()
    for row in range(500):
        a, b, c, d = (Fraction(float(each[row, 0])) for each in lines)
        for x in (Fraction(float(low[row, 0])), Fraction(0), Fraction(float(high[row, 0]))):
            assert a * x + b <= max(x, 0) <= c * x + d


def test_a_stable_relu_is_itself():
    made = drawn(nn.ReLU(), torch.tensor([[-3.0, 1.0]]).double(), torch.tensor([[-1.0, 2.0]]).double())
    lines = made.lines()
    for slope, offset in (lines[:2], lines[2:]):
        torch.testing.assert_close(slope, torch.tensor([[0.0, 1.0]]).double())
        torch.testing.assert_close(offset, torch.zeros(1, 2).double())
