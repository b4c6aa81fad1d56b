"""Slopes of activations: each constant is at least the largest slope on the whole line, proved, and not far above it.

The proof is by branch and bound in mpmath's interval arithmetic on [-40, 40] and by monotone tails beyond; closed
forms where there are any.
"""

import math

import mpmath
import pytest
import torch
from mpmath import iv, mp
from torch import nn

from auditor.errors import Unsupported
from auditor.methods.robustness import operator_norm_bound
from auditor.methods.robustness.activations import (
    ACTIVATIONS,
    GELU,
    GELU_TANH,
    MISH,
    SELU,
    SILU,
    SIXTH,
    SMOOTH_CHANGEOVER,
)
from auditor.methods.robustness.rounding import UNIT

TAIL = 40


def squared(x):
    return x * x


def silu_slope(x, ctx):
    """σ + xσ(1 − σ), and its derivative σ(1 − σ)(2 + x(1 − 2σ))."""
    s = 1 / (1 + ctx.exp(-x))
    return s + x * s * (1 - s), s * (1 - s) * (2 + x * (1 - 2 * s))


def mish_slope(x, ctx):
    """x·t with t = tanh(log(1 + w)) = 1 − 2/(m + 1), m = (1 + w)², w = eˣ."""
    w = ctx.exp(x)
    q = squared(1 + w) + 1
    t = 1 - 2 / q
    first = 4 * w * (1 + w) / squared(q)
    # d/dx of 4(w + w²)q⁻², with q' = 2(1 + w)w.
    second = 4 * (w + 2 * w * w) / squared(q) - 16 * w * w * squared(1 + w) / (q * q * q)
    return t + x * first, 2 * first + x * second


def gelu_tanh_slope(x, ctx):
    """½(1 + t) + ½x(1 − t²)u', with t = tanh u = 1 − 2/(e²ᵘ + 1), u = √(2/π)(x + 0.044715x³)."""
    scale, cubic = ctx.sqrt(2 / ctx.pi), ctx.mpf("0.044715")
    u, du, ddu = scale * (x + cubic * x * x * x), scale * (1 + 3 * cubic * x * x), scale * 6 * cubic * x
    t = 1 - 2 / (ctx.exp(2 * u) + 1)
    dt = (1 - t * t) * du
    ddt = -2 * t * dt * du + (1 - t * t) * ddu
    return (1 + t) / 2 + x * dt / 2, dt + x * ddt / 2


def proved(slope, constant):
    """Whether |slope| ≤ `constant` on [-TAIL, TAIL], by the mean value form on ever smaller intervals."""
    pending = [(-float(TAIL), float(TAIL))]
    bound = iv.mpf(constant)
    while pending:
        low, high = pending.pop()
        middle = (low + high) / 2
        whole = iv.mpf([low, high])
        plain, derivative = slope(whole, iv)
        at_middle, _ = slope(iv.mpf(middle), iv)
        centred = at_middle + derivative * (whole - middle)
        upper, lower = min(plain.b, centred.b), max(plain.a, centred.a)
        if upper <= bound.a and lower >= -bound.a:
            continue
        if high - low < 1e-9:
            return False
        pending += [(low, middle), (middle, high)]
    return True


SLOPES = [(silu_slope, SILU, 2.4), (mish_slope, MISH, 1.49), (gelu_tanh_slope, GELU_TANH, 1.4185)]


@pytest.mark.parametrize(("slope", "constant", "near"), SLOPES)
def test_smooth_constants_bound_the_slope_between_the_tails(slope, constant, near):
    iv.dps = mp.dps = 30
    assert proved(slope, constant)
    largest = max(slope(mp.mpf(near) + mp.mpf(step) / 10_000, mp)[0] for step in range(-100, 101))
    assert largest <= constant <= largest * (1 + mp.mpf("1e-8"))
    # The proof can fail: a constant a hair too small is not proved.
    assert not proved(slope, float(largest) * (1 - 1e-9))


def test_smooth_constants_bound_the_tails():
    """Beyond ±40: SiLU and the tanh form satisfy f'(−x) = 1 − f'(x), and |f'(x) − 1| falls there.

    SiLU: |f' − 1| ≤ (1 + x)e⁻ˣ. Tanh form: 1 − t ≤ 2e⁻²ᵘ and 1 − t² ≤ 4e⁻²ᵘ, u ≥ 0.79x and u' ≤ 0.8(1 + 0.14x²).
    Mish, right: f' ≤ 1 + x·4w(w + 1)/w⁴; left: |f'| ≤ t + |x|t' ≤ w(2 + w) + |x|·w(w + 1), w = eˣ.
    """
    mp.dps = 30
    x = mp.mpf(TAIL)
    assert (1 + x) * mp.exp(-x) < SILU - 1
    assert 2 * mp.exp(-1.58 * x) * (1 + 2 * x * 0.8 * (1 + 0.14 * x * x)) < GELU_TANH - 1
    assert 1 + 8 * x * mp.exp(-2 * x) < MISH
    assert mp.exp(-x) * (2 + mp.exp(-x)) + x * mp.exp(-x) * (mp.exp(-x) + 1) < MISH


def test_closed_forms():
    """GELU: f'' = φ(x)(2 − x²), so f' is largest at √2 and smallest at −√2. SELU: λα at 0⁻. Hard sigmoid: 1/6."""
    mp.dps = 40
    root = mp.sqrt(2)
    largest = mpmath.ncdf(root) + root * mpmath.npdf(root)
    assert largest <= GELU <= largest * (1 + mp.mpf("1e-9"))
    assert abs(mpmath.ncdf(-root) - root * mpmath.npdf(root)) < GELU
    steepest = mp.mpf("1.0507009873554804934193349852946") * mp.mpf("1.6732632423543772848170429916717")
    assert steepest <= SELU <= steepest * (1 + mp.mpf("1e-9"))
    assert mp.mpf(SIXTH) > mp.mpf(1) / 6
    # Hardswish x(x + 3)/6 has slope (2x + 3)/6 on [−3, 3]: from −½ to 3/2.
    assert operator_norm_bound(nn.Hardswish(), (1,)) == 1.5


CONFIGURED = [
    nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-2.0, 0.5), nn.Tanh(), nn.Softsign(), nn.Tanhshrink(), nn.Softshrink(0.3),
    nn.Threshold(0.5, 0.5), nn.LogSigmoid(), nn.Softplus(2.0, 40), nn.Softplus(-0.5, 50), nn.Sigmoid(),
    nn.Hardsigmoid(), nn.Hardswish(), nn.LeakyReLU(0.1), nn.LeakyReLU(-3.0), nn.PReLU(3, 1.5), nn.PReLU(),
    nn.RReLU().eval(), nn.RReLU(-4.0, 1.0).eval(), nn.ELU(), nn.ELU(2.5), nn.ELU(-1.5), nn.CELU(0.5), nn.SELU(),
    nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish(),
]  # fmt: skip


def test_every_activation_is_among_those_tried():
    assert {type(layer) for layer in CONFIGURED} == set(ACTIVATIONS)


@pytest.mark.parametrize("layer", CONFIGURED, ids=str)
def test_no_slope_of_what_torch_computes_exceeds_its_constant(layer):
    """Difference quotients on a fine grid through every kink; the constant is met within a thousandth."""
    layer = layer.double()
    points = torch.arange(-400_000, 400_001, dtype=torch.float64)[:, None].expand(-1, 3) / 8192
    with torch.no_grad():
        steps = layer(points).diff(dim=0).abs() * 8192
    bound = operator_norm_bound(layer, (3,))
    assert operator_norm_bound(layer, (3,), "linf") == bound
    assert float(steps.max()) <= bound * (1 + 1e-9)
    if not isinstance(layer, nn.RReLU):
        assert float(steps.max()) >= bound * (1 - 1e-3)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (nn.Threshold(0.5, 0.0), "jumps from"),
        (nn.Softplus(), "jumps where"),
        (nn.Softplus(1.0, 800.0), "jumps where"),
        (nn.Softplus(0.0, 40.0), "beta 0"),
        (nn.CELU(-1.0), "exponentially"),
        (nn.Softshrink(math.nan), "lambd nan"),
        (nn.ELU(math.inf), "alpha inf"),
        (nn.RReLU(), "train mode"),
        (nn.LeakyReLU(math.nan), "slope"),
    ],
)
def test_what_jumps_or_explodes_is_refused(layer, said):
    with pytest.raises(Unsupported, match=said):
        operator_norm_bound(layer, (3,))


def test_torchs_default_softplus_does_jump():
    """Why it is refused: over the change at 20 it rises by 2e-9 on an interval 2000 times shorter."""
    low, high = torch.tensor([20.0, 20.0 + 4e-15], dtype=torch.float64)
    rise = float(nn.Softplus()(low) - nn.Softplus()(high))
    assert rise > 1e5 * float(high - low)
    mp.dps = 30
    assert mp.log1p(mp.exp(-SMOOTH_CHANGEOVER)) / SMOOTH_CHANGEOVER <= mp.mpf(UNIT) / 2
