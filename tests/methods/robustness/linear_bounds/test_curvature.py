"""Second derivatives of activations: each bound is proved by closed form or in interval arithmetic, and tried."""

import math

import pytest
import torch
from mpmath import iv, mp

from auditor.methods.robustness.activations import ACTIVATIONS
from auditor.methods.robustness.elementary import Abs
from auditor.methods.robustness.linear_bounds.curvature import (
    GELU,
    GELU_TANH,
    MISH,
    SELU,
    SHAPES,
    SIGMOID,
    TANH,
    bending,
    shape,
)
from tests.methods.robustness.linear_bounds.activations import CONFIGURED
from tests.methods.robustness.test_activations import gelu_tanh_slope, mish_slope

TAIL = 40.0


def proved(slope, constant):
    """Whether |φ''| ≤ `constant` on [-TAIL, TAIL], on ever smaller intervals."""
    pending, bound = [(-TAIL, TAIL)], iv.mpf(constant)
    while pending:
        low, high = pending.pop()
        _, second = slope(iv.mpf([low, high]), iv)
        if second.b <= bound.a and second.a >= -bound.a:
            continue
        if high - low < 1e-7:
            return False
        pending += [(low, (low + high) / 2), ((low + high) / 2, high)]
    return True


@pytest.mark.parametrize(("slope", "constant"), [(mish_slope, MISH), (gelu_tanh_slope, GELU_TANH)])
def test_curvature_is_bounded_between_the_tails(slope, constant):
    """Beyond ±40 both second derivatives are polynomials times e⁻⁴⁰."""
    iv.dps = mp.dps = 20
    assert proved(slope, constant)
    largest = max(abs(slope(mp.mpf(step) / 1000, mp)[1]) for step in range(-5000, 5001))
    assert not proved(slope, float(largest) * 0.999)
    assert abs(slope(mp.mpf(TAIL), mp)[1]) < 1e-10
    assert abs(slope(mp.mpf(-TAIL), mp)[1]) < 1e-10


def test_closed_forms():
    mp.dps = 30
    assert 4 / (3 * mp.sqrt(3)) <= TANH <= 4 / (3 * mp.sqrt(3)) * (1 + mp.mpf("1e-9"))
    assert 1 / (6 * mp.sqrt(3)) <= SIGMOID <= 1 / (6 * mp.sqrt(3)) * (1 + mp.mpf("1e-9"))
    assert 2 * mp.npdf(0) <= GELU <= 2 * mp.npdf(0) * (1 + mp.mpf("1e-9"))
    assert mp.mpf("1.0507009873554804934193349852946") * mp.mpf("1.6732632423543772848170429916717") <= SELU


def test_every_activation_has_a_shape():
    assert set(SHAPES) == {*ACTIVATIONS, Abs}
    assert {type(layer) for layer in CONFIGURED} == set(SHAPES)


@pytest.mark.parametrize("layer", CONFIGURED, ids=str)
def test_no_second_difference_exceeds_the_curvature(layer):
    """Second differences at steps of 2⁻⁷ away from kinks, against the bound of the three points' own interval."""
    layer, known = layer.double(), shape(layer)
    step = 2.0**-7
    x = torch.arange(-3000, 3001, dtype=torch.float64) * step
    with torch.no_grad():
        value = layer(x[:, None].expand(-1, 3).clone())[:, 0]
    second = (value[2:] - 2 * value[1:-1] + value[:-2]).abs() / step**2
    smooth = torch.ones_like(second, dtype=torch.bool)
    for kink in known.kinks:
        smooth &= (x[2:] <= kink) | (x[:-2] >= kink)
    excess = second - bending(known, x[:-2], x[2:])
    assert float(excess[smooth].max()) <= 1e-9
    assert known.curvature >= 0
    assert math.isfinite(known.curvature)
