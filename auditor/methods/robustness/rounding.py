"""Floating point, rounded outwards: what turns a computed number into a bound.

Model of arithmetic (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., ch. 2–3): each operation in
float64 errs by a factor 1 + δ, |δ| ≤ u = 2⁻⁵³, or by an absolute η ≤ 2⁻¹⁰⁷⁴ where it underflows. A sum of n products
then errs by at most γ_n = n·u / (1 − n·u) times the sum of absolute values, in any order, with or without fused
multiply-add.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

UNIT = 2.0**-53
"""u, the unit roundoff of float64."""

UNDERFLOW = 2.0**-1000
"""Above the sum of all underflow errors of one bound: fewer than 2⁶⁰ operations, each at most 2⁻¹⁰⁷⁴, of which no later
factor exceeds 2¹⁴ because every operand has been scaled to magnitude 1."""


def up(value: float) -> float:
    """The next float above `value`."""
    return math.nextafter(value, math.inf)


def add_up(*terms: float) -> float:
    """A float not below the exact sum of non-negative terms."""
    total = 0.0
    for term in terms:
        total = total + term if total == 0.0 or term == 0.0 else up(total + term)
    return total


def multiply_up(*factors: float) -> float:
    """A float not below the exact product of non-negative factors; 0 only if a factor is 0, never by underflow."""
    if 0.0 in factors:
        return 0.0
    product = 1.0
    for factor in factors:
        product = product if factor == 1.0 else factor if product == 1.0 else up(product * factor)
    return product


def divide_up(numerator: float, denominator: float) -> float:
    """A float not below the exact quotient of positive numbers."""
    return up(numerator / denominator)


def sqrt_up(value: float) -> float:
    """A float not below the exact square root; exact where the root is."""
    root = math.sqrt(value)
    return root if root.is_integer() and root < 2**26 and root * root == value else up(root)


def gamma(n: int) -> float:
    """γ_n = n·u / (1 − n·u), rounded up: the relative error of a sum of n products (Higham, lemma 3.1)."""
    assert 0 <= n < 2**50
    return up(up(n * UNIT / (1 - n * UNIT)))


def complex_gamma(n: int) -> float:
    """The same for n complex products: √2·γ_2n.

    Real and imaginary part are real sums of 2n products, each off by at most γ_2n Σ|x||y| by Cauchy–Schwarz on the
    terms.
    """
    return multiply_up(up(math.sqrt(2)), gamma(2 * n))


def scaled(values: Tensor) -> tuple[Tensor, int]:
    """`values` in float64 times 2⁻ᵉ so that the largest magnitude lies in [½, 1), and e; all zeros give e = 0.

    Exact but for entries that fall below 2⁻¹⁰²², which `UNDERFLOW` covers. Two steps, since 2⁻ᵉ alone may overflow.
    """
    values = values.detach().to(torch.float64)
    largest = float(values.abs().max()) if values.numel() else 0.0
    if largest == 0.0:
        return values, 0
    exponent = math.frexp(largest)[1]
    half = -exponent // 2
    return values * 2.0**half * 2.0 ** (-exponent - half), exponent


def unscaled(bound: float, exponent: int) -> float:
    """A float not below bound · 2ᵉ; infinite if that overflows."""
    if bound == 0.0:
        return 0.0
    try:
        value = math.ldexp(bound, exponent)
    except OverflowError:
        return math.inf
    return value if math.ldexp(value, -exponent) == bound else up(value)
