"""Operator norms: never below the SVD of the unrolled layer, close to it where promised, at any scale of weights."""

import math

import pytest
import torch
from torch import nn

from auditor.errors import Unsupported
from auditor.methods.robustness import operator_norm_bound
from auditor.methods.robustness.convolution import Axis, convolution_norm_upper
from auditor.methods.robustness.dense import matrix_norm_upper
from auditor.methods.robustness.eigenvalues import largest_eigenvalue_upper
from auditor.methods.training.layers import MinMax
from tests.methods.robustness.random_layers import exact_norm, pick, random_convolution, random_dense, redraw

ROUNDING_OF_THE_ORACLE = 1e-13

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")


def violations(draw_layer, trials, seed):
    generator = torch.Generator().manual_seed(seed)
    found = []
    for trial in range(trials):
        layer, shape = draw_layer(generator)
        exact, bound = exact_norm(layer, shape), operator_norm_bound(layer, shape)
        if bound < exact * (1 - ROUNDING_OF_THE_ORACLE):
            found.append((trial, layer, shape, bound, exact))
    return found


@pytest.mark.parametrize("draw_layer", [random_dense, random_convolution])
def test_bounds_hold_on_random_layers(draw_layer):
    assert violations(draw_layer, 500, seed=0) == []


@pytest.mark.slow
@pytest.mark.parametrize("draw_layer", [random_dense, random_convolution])
def test_bounds_hold_on_ten_thousand_random_layers(draw_layer):
    assert violations(draw_layer, 10_000, seed=1) == []


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (60, 40), (400, 600)])
def test_dense_bounds_are_within_a_billionth(shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    exact = float(torch.linalg.svdvals(weight)[0])
    assert exact * (1 - 1e-13) <= matrix_norm_upper(weight) <= exact * (1 + 2e-9)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_bounds_are_tight_on_inputs_four_times_the_kernel(mode, stride):
    generator = torch.Generator().manual_seed(5)
    for _ in range(10):
        taps = pick(generator, [1, 3] if stride == 1 else [2, 3, 4])
        layer = nn.Conv2d(2, 3, taps, stride, padding=(taps - 1) // 2, padding_mode=mode).double()
        redraw(layer, generator)
        size = -(-4 * taps // stride) * stride
        exact, bound = exact_norm(layer, (2, size, size)), operator_norm_bound(layer, (2, size, size))
        assert exact * (1 - 1e-13) <= bound <= 1.15 * exact


@pytest.mark.parametrize("scale", [1e-3, 1e-20, 1e-38, 1e-200, 1e-310, 5e-324, 1e38, 1e150, 1e300])
def test_bounds_hold_at_any_scale_of_the_weights(scale):
    weight = torch.eye(6, dtype=torch.float64) * scale
    assert scale <= matrix_norm_upper(weight) <= max(scale * (1 + 2e-9), 1e-323)
    kernel = torch.zeros(2, 2, 3, 3, dtype=torch.float64)
    kernel[0, 0, 1, 1] = kernel[1, 1, 1, 1] = scale
    bound = convolution_norm_upper(kernel, (Axis(8, 3, 1, 1, 1, 1),) * 2)
    assert scale <= bound <= max(scale * (1 + 2e-9), 1e-323)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_float32_and_half_weights_are_read_exactly(dtype):
    layer = nn.Linear(9, 5).to(dtype)
    exact = float(torch.linalg.svdvals(layer.weight.detach().double())[0])
    assert exact * (1 - 1e-14) <= operator_norm_bound(layer, (9,)) <= exact * (1 + 2e-9)


def test_an_aligned_spike_that_power_iteration_misses_is_found():
    """Near-orthogonal with one direction 2 % above: power iteration from a random start needs hundreds of steps."""
    generator = torch.Generator().manual_seed(0)
    orthogonal, _ = torch.linalg.qr(torch.randn(256, 256, generator=generator, dtype=torch.float64))
    left, right = orthogonal[:, :1], torch.eye(256, dtype=torch.float64)[:1]
    weight = orthogonal + 0.02 * left @ right
    exact = float(torch.linalg.svdvals(weight)[0])
    assert exact > 1.0199
    assert exact * (1 - 1e-13) <= matrix_norm_upper(weight) <= exact * (1 + 2e-9)


def test_the_proof_needs_no_good_guess(monkeypatch):
    """With eigenvalue estimates that are far too low the Cholesky proof fails until λ has been raised enough."""
    from auditor.methods.robustness import eigenvalues

    monkeypatch.setattr(eigenvalues, "_largest", lambda matrices: 1e-3)
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(3, 20, 20, generator=generator, dtype=torch.float64)
    matrices = factor.mT @ factor
    exact = float(torch.linalg.eigvalsh(matrices).max())
    bound = largest_eigenvalue_upper(matrices)
    assert exact <= bound < 1e6


def test_a_wrong_factorisation_does_not_make_a_bound(monkeypatch):
    """The residual is measured, so even a Cholesky routine that lies only loosens the bound."""
    honest = torch.linalg.cholesky_ex

    def lying(matrix):
        factor, info = honest(matrix + 1e6 * torch.eye(matrix.shape[-1], dtype=matrix.dtype))
        return factor, torch.zeros_like(info)

    monkeypatch.setattr(torch.linalg, "cholesky_ex", lying)
    monkeypatch.setattr("auditor.methods.robustness.eigenvalues._largest", lambda matrices: 0.0)
    matrices = torch.diag(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))[None]
    assert largest_eigenvalue_upper(matrices) >= 3.0


def test_complex_hermitian_matrices_are_bounded():
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(4, 70, 70, generator=generator, dtype=torch.complex128)
    matrices = factor.mH @ factor
    exact = float(torch.linalg.eigvalsh(matrices).max())
    assert exact * (1 - 1e-13) <= largest_eigenvalue_upper(matrices) <= exact * (1 + 1e-8)


POOLINGS = [
    nn.AvgPool2d(2),
    nn.AvgPool2d(3, stride=2, padding=1),
    nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
    nn.AvgPool2d((2, 3), stride=(1, 2), ceil_mode=True),
    nn.AvgPool2d(3, stride=1, divisor_override=2),
    nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
    nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveAvgPool2d((3, 2)),
    nn.AdaptiveAvgPool2d((None, 4)),
]


@pytest.mark.parametrize("layer", POOLINGS, ids=str)
@pytest.mark.parametrize("size", [(6, 6), (7, 5)])
def test_average_pooling_is_bounded_by_its_exact_norm(layer, size):
    exact, bound = exact_norm(layer, (2, *size)), operator_norm_bound(layer, (2, *size))
    assert exact * (1 - 1e-13) <= bound <= exact * (1 + 1e-8)


@pytest.mark.parametrize("layer", [nn.AvgPool1d(3, 2, 1), nn.AdaptiveAvgPool1d(3)], ids=str)
def test_one_dimensional_pooling_likewise(layer):
    exact, bound = exact_norm(layer, (2, 8)), operator_norm_bound(layer, (2, 8))
    assert exact * (1 - 1e-13) <= bound <= exact * (1 + 1e-8)


@pytest.mark.parametrize(
    "layer",
    [nn.MaxPool2d(2), nn.MaxPool2d(3, 1, 1), nn.MaxPool2d(3, 2), nn.MaxPool2d(2, 1, dilation=2), nn.MaxPool1d(3, 1)],
    ids=str,
)
def test_overlapping_max_pooling_counts_its_overlap(layer):
    """One large pixel reaches every window that sees it."""
    shape = (1, 9) if isinstance(layer, nn.MaxPool1d) else (1, 9, 9)
    spike = torch.zeros(1, *shape, dtype=torch.float64)
    spike[(0, 0, *([4] * (len(shape) - 1)))] = 1.0
    assert operator_norm_bound(layer, shape) >= float(layer(spike).norm())


def test_batch_normalisation_with_a_large_factor():
    layer = nn.BatchNorm2d(3).double().eval()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, -100.0, 0.5]))
        layer.running_var.copy_(torch.tensor([1.0, 4.0, 0.01]))
    assert operator_norm_bound(layer, (3, 4, 4)) == pytest.approx(100 / math.sqrt(4 + 1e-5), rel=1e-12)
    assert operator_norm_bound(layer, (3, 4, 4)) >= exact_norm(layer, (3, 4, 4)) * (1 - 1e-14)


def test_activations():
    assert operator_norm_bound(nn.ReLU(), (4,)) == 1
    assert operator_norm_bound(MinMax(), (4,)) == 1
    assert operator_norm_bound(nn.Sigmoid(), (4,)) == 0.25
    assert operator_norm_bound(nn.LeakyReLU(-2.0), (4,)) == 2
    assert operator_norm_bound(nn.LeakyReLU(0.1), (4,)) == 1


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        (Doubled(3, 3), (3,), "Doubled"),
        (nn.LayerNorm(3), (3,), "LayerNorm"),
        (nn.Softmax(dim=1), (3,), "logits"),
        (nn.BatchNorm1d(3), (3,), "train mode"),
        (nn.Dropout(0.5), (3,), "train mode"),
        (nn.BatchNorm1d(3, track_running_stats=False).eval(), (3,), "statistics of its batch"),
        (MinMax(), (3,), "odd width"),
        (MinMax(dim=0), (4,), "batch"),
        (MinMax(dim=-2), (4,), "batch"),
        (nn.MaxPool2d(2, return_indices=True), (1, 4, 4), "indices"),
        (nn.Flatten(0), (4,), "batch"),
        (nn.Conv2d(2, 2, 3), (2, 8), "2 sizes"),
        (nn.LeakyReLU(math.nan), (4,), "slope"),
    ],
)
def test_what_has_no_bound_is_refused_by_name(layer, shape, said):
    with pytest.raises(Unsupported, match=said):
        operator_norm_bound(layer, shape)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_non_finite_weights_are_refused(value):
    layer = nn.Linear(3, 3)
    with torch.no_grad():
        layer.weight[1, 1] = value
    with pytest.raises(Unsupported, match="NaN or infinite"):
        operator_norm_bound(layer, (3,))


def test_a_class_whose_forward_was_replaced_is_refused(monkeypatch):
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: 3 * x)
    with pytest.raises(Unsupported, match="replaced"):
        operator_norm_bound(nn.ReLU(), (3,))


def test_the_number_of_threads_changes_no_digit():
    layer = nn.Conv2d(64, 64, 3, padding=1)
    dense = nn.Linear(300, 200)
    before, found = torch.get_num_threads(), set()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.add((operator_norm_bound(layer, (64, 8, 8)), operator_norm_bound(dense, (300,))))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
    assert len(found) == 1
