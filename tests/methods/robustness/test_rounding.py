"""Outward rounding really is outward: exact rational arithmetic and mpmath are the judges."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from auditor.methods.robustness.frequencies import ROOT_ERROR, roots_of_unity
from auditor.methods.robustness.rounding import UNIT, add_up, gamma, multiply_up, scaled, sqrt_up, unscaled

positive = st.floats(min_value=5e-324, max_value=1e150, allow_nan=False)


@given(st.lists(positive, min_size=1, max_size=6))
def test_sums_and_products_are_never_below_the_exact_ones(values):
    assert Fraction(add_up(*values)) >= sum(map(Fraction, values))
    product = multiply_up(*values)
    assert math.isinf(product) or Fraction(product) >= math.prod(map(Fraction, values))


@given(positive)
def test_square_roots_are_never_below_the_exact_one(value):
    assert Fraction(sqrt_up(value)) ** 2 >= Fraction(value)


def test_a_product_that_underflows_stays_positive():
    assert multiply_up(1e-200, 1e-200) > 0
    assert multiply_up(1e-200, 0.0) == 0


@pytest.mark.parametrize("n", [1, 3, 1000, 10**6])
def test_gamma_is_never_below_its_definition(n):
    u = Fraction(UNIT)
    assert Fraction(gamma(n)) >= n * u / (1 - n * u)


@given(st.floats(min_value=5e-324, max_value=1e308))
def test_scaling_by_powers_of_two_comes_back(value):
    matrix = torch.tensor([[value, 0.0]], dtype=torch.float64)
    small, exponent = scaled(matrix)
    assert 0.5 <= float(small.max()) < 1
    assert unscaled(float(small.max()), exponent) == value


@pytest.mark.parametrize("length", [1, 2, 3, 5, 7, 8, 12, 34, 97, 360])
def test_roots_of_unity_are_within_their_stated_error(length):
    mpmath.mp.prec = 120
    for j, root in enumerate(roots_of_unity(length)):
        exact = mpmath.expjpi(-mpmath.mpf(2) * j / length)
        error = abs(mpmath.mpc(root.real, root.imag) - exact)
        assert error <= ROOT_ERROR / 2, j
    assert np.isclose(roots_of_unity(length)[0], 1)
