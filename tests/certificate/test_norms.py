"""What the verifier proves is true: nothing below the norm of the unrolled layer, which is found without it."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from auditor.certificate.folding import kernel_of
from auditor.certificate.functions import GELU, SLOPES
from auditor.certificate.layers import proved
from auditor.certificate.norms import Axis, convolution_bounded, dense_bounded
from auditor.records.certificate import LayerProof, Part

MODES = ("zeros", "circular", "reflect", "replicate")


def random_convolution(generator):
    """A convolution and its input's shape, of any padding, stride, dilation and grouping, small and often odd."""
    while True:
        axes = int(generator.integers(1, 3))
        taps = generator.integers(1, 5, axes).tolist()
        sizes = generator.integers(1, 8, axes).tolist()
        groups = int(generator.integers(1, 3))
        mode = str(generator.choice(MODES))
        options = {
            "stride": generator.integers(1, 4, axes).tolist(),
            "padding": generator.integers(0, 4, axes).tolist(),
            "dilation": generator.integers(1, 3, axes).tolist(),
        }
        kind = (nn.Conv1d, nn.Conv2d)[axes - 1]
        inputs, outputs = (groups * int(generator.integers(1, 4)) for _ in range(2))
        layer = kind(inputs, outputs, taps, groups=groups, padding_mode=mode, bias=False, **options).double()
        try:
            layer(torch.zeros(1, inputs, *sizes, dtype=torch.float64))
        except RuntimeError:
            continue
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(generator.standard_normal(tuple(layer.weight.shape))))
        return layer, (inputs, *sizes)


def unrolled(layer, shape):
    count = math.prod(shape)
    basis = torch.eye(count, dtype=torch.float64).reshape(count, *shape)
    with torch.no_grad():
        return layer(basis).flatten(1).T.numpy()


def stated(layer, shape, bound, *, transposed=False):
    axes = [
        [size, taps, padding, padding, stride, dilation]
        for size, taps, padding, stride, dilation in zip(
            shape[1:], layer.kernel_size, layer.padding, layer.stride, layer.dilation, strict=True
        )
    ]
    made = tuple(layer(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:])
    given, made = (made, shape) if transposed else (shape, made)
    return LayerProof(
        name="layer", kind="transposed convolution" if transposed else "convolution", inputs=(-1,), input_shape=given,
        output_shape=made, lipschitz_upper=bound,
        map=Part(
            op="convolution", tensors=("w",),
            options={"axes": axes, "groups": layer.groups, "mode": layer.padding_mode},
        ),
    )  # fmt: skip


def again(layer, tensors, norm):
    return proved(layer, tensors, norm, kernel_of(layer, tensors, norm))


@pytest.mark.parametrize("seed", range(40))
def test_no_bound_below_the_norm_of_an_unrolled_convolution_is_proved(seed):
    generator = np.random.default_rng(seed)
    for _ in range(8):
        layer, shape = random_convolution(generator)
        matrix, tensors = unrolled(layer, shape), {"w": layer.weight.detach().numpy()}
        exact = {"l2": np.linalg.norm(matrix, 2), "linf": np.abs(matrix).sum(1).max()}
        for norm, value in exact.items():
            if value == 0.0:
                continue
            assert not again(stated(layer, shape, value * (1 - 1e-9)), tensors, norm)
            assert again(stated(layer, shape, value * 40), tensors, norm)
        if layer.padding_mode == "zeros" and matrix.any():
            column = np.abs(matrix).sum(0).max()
            assert not again(stated(layer, shape, column * (1 - 1e-9), transposed=True), tensors, "linf")
            assert again(stated(layer, shape, column * (1 + 1e-9), transposed=True), tensors, "linf")
            assert again(stated(layer, shape, exact["linf"] * (1 + 1e-9)), tensors, "linf")


@pytest.mark.parametrize(("size", "taps"), list(itertools.product((16, 17), (3, 4))))
def test_a_circular_convolution_is_bounded_as_tightly_as_a_matrix(size, taps):
    layer = nn.Conv2d(2, 3, taps, padding=taps // 2, padding_mode="circular", bias=False).double()
    norm = np.linalg.norm(unrolled(layer, (2, size, size)), 2)
    padding = taps // 2
    axes = (Axis(size, taps, padding, padding, 1, 1),) * 2
    weight = layer.weight.detach().numpy()
    repeats = math.sqrt(2) ** 2 if taps % 2 == 0 else 1.0
    assert convolution_bounded(weight, axes, norm * repeats * (1 + 1e-6), groups=1, mode="circular")


def test_entries_that_may_be_off_are_paid_for():
    weight = np.random.default_rng(0).standard_normal((20, 30))
    norm = float(np.linalg.norm(weight, 2))
    assert dense_bounded(weight, norm * (1 + 1e-9))
    assert not dense_bounded(weight, norm * (1 + 1e-9), entry_error=1e-6)
    assert dense_bounded(weight, norm + 1e-6 * float(np.linalg.norm(np.abs(weight), 2)) * 1.5, entry_error=1e-6)


@pytest.mark.parametrize("exponent", [-1000, -300, 0, 300, 900])
def test_a_weight_of_any_magnitude_is_bounded_alike(exponent):
    weight = np.ldexp(np.random.default_rng(0).standard_normal((5, 7)), exponent)
    norm = math.ldexp(float(np.linalg.norm(np.ldexp(weight, -exponent), 2)), exponent)
    assert dense_bounded(weight, norm * (1 + 1e-9))
    assert not dense_bounded(weight, norm * (1 - 1e-9))


FUNCTIONS = {
    "Sigmoid": torch.sigmoid,
    "Hardsigmoid": lambda x: functional.relu6(x + 3) / 6,
    "Hardswish": functional.hardswish,
    "SiLU": functional.silu,
    "Mish": functional.mish,
    "SELU": functional.selu,
}


@pytest.mark.parametrize("name", SLOPES)
def test_no_slope_exceeds_its_constant_and_one_comes_near(name):
    _slopes(FUNCTIONS[name], SLOPES[name])


@pytest.mark.parametrize("form", GELU)
def test_no_slope_of_gelu_exceeds_its_constant(form):
    _slopes(lambda x: functional.gelu(x, approximate=form), GELU[form])
    if form == "none":
        root = mpmath.sqrt(2)
        assert abs(mpmath.ncdf(root) + root * mpmath.npdf(root) - GELU[form]) < 1e-15


def _slopes(function, constant):
    x = torch.linspace(-12, 12, 400_001, dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(function(x).sum(), x)
    largest = float(slopes.abs().max())
    assert largest <= constant * (1 + 4e-16)
    assert largest >= constant - 1e-8
