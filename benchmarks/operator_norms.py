"""Operator norms: how far each method is from the exact norm, and how long it takes.

    python -m benchmarks.operator_norms [--threads 1] [--large] [-o FILE]

Ours against float64 Fourier blocks with every eigenvalue (torch.fft on the (n+k−1)-grid, unproved), and against power
iteration in float32, 100 steps. The exact norm is the SVD of the unrolled layer, left out where it would take minutes.
A negative error lies below the truth: no bound at all. `--large` adds the 256→256 convolution at 32×32.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from auditor.methods.robustness import bound_model, operator_norm_bound
from auditor.methods.training.layers import orthogonal_
from benchmarks.networks import six_c_two_f, two_c_two_f

UNROLLED = 3000


class Case(NamedTuple):
    name: str
    layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d
    shape: tuple[int, ...]


def cases(*, large: bool) -> list[Case]:
    torch.manual_seed(0)
    spiked = nn.Linear(512, 512)
    orthogonal_(spiked)
    with torch.no_grad():
        left, right = torch.linalg.qr(torch.randn(512, 2))[0].T
        spiked.weight.add_(0.05 * left[:, None] @ right[None] @ spiked.weight)
        spiked.weight.add_(0.02 * (spiked.weight @ right)[:, None] @ right[None])
    listed = [
        Case("dense 400×600", nn.Linear(600, 400), (600,)),
        Case("dense 512×512, near-orthogonal with spikes", spiked, (512,)),
        Case("dense 1024×4096", nn.Linear(4096, 1024), (4096,)),
        Case("3×3, 8→8 on 16²", nn.Conv2d(8, 8, 3, padding=1), (8, 16, 16)),
        Case("4×4 stride 2, 8→16 on 16²", nn.Conv2d(8, 16, 4, 2, 1), (8, 16, 16)),
        Case("4×4 transposed, stride 2, 16→8 on 8²", nn.ConvTranspose2d(16, 8, 4, 2, 1), (16, 8, 8)),
        Case("3×3 circular, 8→8 on 16²", nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular"), (8, 16, 16)),
        Case("3×3 dilated 2, 8→8 on 16²", nn.Conv2d(8, 8, 3, padding=2, dilation=2), (8, 16, 16)),
        Case("3×3 in 4 groups, 16→16 on 12²", nn.Conv2d(16, 16, 3, padding=1, groups=4), (16, 12, 12)),
        Case("3×3, 32→32 on 32²", nn.Conv2d(32, 32, 3, padding=1), (32, 32, 32)),
        Case("3×3, 64→64 on 32²", nn.Conv2d(64, 64, 3, padding=1), (64, 32, 32)),
    ]
    if large:
        listed.append(Case("3×3, 256→256 on 32²", nn.Conv2d(256, 256, 3, padding=1), (256, 32, 32)))
    return listed


def unrolled_svd(case: Case) -> float:
    size = math.prod(case.shape)
    if size > UNROLLED:
        return math.nan
    layer = case.layer.double()
    with torch.no_grad():
        matrix = layer(torch.eye(size, dtype=torch.float64).reshape(size, *case.shape))
        matrix = (matrix - layer(torch.zeros(1, *case.shape, dtype=torch.float64))).flatten(1)
    case.layer.float()
    return float(torch.linalg.svdvals(matrix)[0])


def every_eigenvalue(case: Case) -> float:
    """The usual float64 answer: all Fourier blocks at once, all their eigenvalues; unproved, zero padding, stride 1."""
    weight = case.layer.weight.detach().double()
    if isinstance(case.layer, nn.Linear):
        gram = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
        return float(torch.linalg.eigvalsh(gram)[-1].sqrt())
    if isinstance(case.layer, nn.ConvTranspose2d):
        return math.nan
    plain = case.layer.padding_mode == "zeros" and case.layer.stride == case.layer.dilation == (1, 1)
    if case.layer.groups > 1 or not plain:
        return math.nan
    grid = [n + k - 1 for n, k in zip(case.shape[1:], case.layer.kernel_size, strict=True)]
    blocks = torch.fft.rfft2(weight, s=grid).permute(2, 3, 0, 1).flatten(0, 1)
    return float(torch.linalg.eigvalsh(blocks @ blocks.mH)[:, -1].max().sqrt())


def power_iteration(case: Case, steps: int = 100) -> float:
    """What most certifiers print: approached from below, in float32."""
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(1, *case.shape, generator=generator)
    layer = case.layer
    offset = layer(torch.zeros(1, *case.shape)).detach()
    value = 0.0
    for _ in range(steps):
        vector = (vector / vector.norm()).requires_grad_()
        image = layer(vector) - offset
        value = float(image.detach().norm())
        (vector,) = torch.autograd.grad(image.square().sum() / 2, vector)
    return value


def timed(method: Callable[[Case], float], case: Case) -> tuple[float, float]:
    start = time.perf_counter()
    value = method(case)
    return value, time.perf_counter() - start


def table(*, large: bool) -> str:
    methods: list[Callable[[Case], float]] = [ours, every_eigenvalue, power_iteration]
    heads = ["ours, proved", "all eigenvalues, float64", "power ×100, float32"]
    lines = ["| layer | exact | " + " | ".join(heads) + " |", "|---|---|" + "---|" * len(heads)]
    for case in cases(large=large):
        exact = unrolled_svd(case)
        cells = []
        for method in methods:
            value, seconds = timed(method, case)
            if math.isnan(value):
                cells.append("–")
            elif math.isnan(exact):
                cells.append(f"{value:.6g} in {seconds:.3f} s")
            else:
                cells.append(f"{value / exact - 1:+.1e} in {seconds:.3f} s")
        lines.append(f"| {case.name} | {'–' if math.isnan(exact) else f'{exact:.6g}'} | " + " | ".join(cells) + " |")
    for name, build in (("2C2F", two_c_two_f), ("6C2F", six_c_two_f)):
        model, shape = build()
        start = time.perf_counter()
        network = bound_model(model, shape).network
        lines.append(f"| {name}, all of K and δ₆₄ | – | {network:.6g} in {time.perf_counter() - start:.3f} s | – | – |")
    return "\n".join(lines)


def ours(case: Case) -> float:
    return operator_norm_bound(case.layer, case.shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ours(Case("warm-up", nn.Conv2d(2, 2, 3, padding=1), (2, 8, 8)))
    text = f"{torch.get_num_threads()} thread(s), torch {torch.__version__}\n\n{table(large=options.large)}\n"
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
