"""The separation of data: nearest rows of another label, beside scipy's distances of all pairs.

    python -m benchmarks.separation [--rows 2000] [--size 64] [--noise 0.01] [--threads 1] [-o FILE]

Rows are smooth random images: noise of few cells, enlarged, with a little more on top; the more, the more alike all
distances are in linf, and the less can be ruled out. Both are exact; scipy's cdist is
float64 and knows nothing of labels, whose rows are masked afterwards. Times are of the processor.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from auditor.methods.robustness.separation import conflicting, nearest_conflicts
from auditor.terms import Norm, Standard

CLASSES = 10
METRICS: dict[Norm, str] = {"l2": "euclidean", "linf": "chebyshev"}


def images(rows: int, size: int, noise: float) -> tuple[Tensor, Tensor]:
    """Inputs [rows, 3, size, size] in [0, 1] that group around a scene of their class, and labels."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, CLASSES, (rows,), generator=generator)
    scenes = torch.rand(CLASSES, 3, 8, 8, generator=generator)
    cells = 0.5 * scenes[labels] + 0.5 * torch.rand(rows, 3, 8, 8, generator=generator)
    smooth = nn.functional.interpolate(cells, size=(size, size), mode="bilinear")
    return (smooth + noise * torch.randn(smooth.shape, generator=generator)).clamp(0, 1), labels


def spent(work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def all_pairs(inputs: Tensor, labels: Tensor, norm: Norm) -> Tensor:
    from scipy.spatial.distance import cdist

    flat = inputs.flatten(1).double().numpy()
    same = (labels[:, None] == labels).numpy()
    rows = [
        np.where(same[part], np.inf, cdist(flat[part], flat, METRICS[norm])).min(1)  # pyright: ignore[reportCallIssue, reportArgumentType]
        for part in np.array_split(np.arange(len(flat)), max(1, len(flat) // 500))
    ]
    return torch.from_numpy(np.concatenate(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    inputs, labels = images(options.rows, options.size, options.noise)
    lines = [
        f"{platform.machine()}, {options.threads} thread(s), torch {torch.__version__}; {options.rows:,} images of "
        f"3×{options.size}×{options.size}, {CLASSES} labels, noise {options.noise:g}.",
        "",
        "| norm | ours | scipy cdist | largest relative difference |",
        "|---|---|---|---|",
    ]
    for norm in METRICS:
        apart = conflicting(Standard(), CLASSES)
        seconds, found = spent(
            lambda norm=norm, apart=apart: nearest_conflicts(inputs, labels, apart, norm=norm).distance
        )
        peer, exact = spent(lambda norm=norm: all_pairs(inputs, labels, cast(Norm, norm)))
        apart_by = float(((found - exact).abs() / exact).max())
        lines.append(f"| {norm} | {seconds:.1f} s | {peer:.1f} s | {apart_by:.0e} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output is not None:
        options.output.write_text("# Separation of the data\n\n`python -m benchmarks.separation`\n\n" + text, "utf-8")


if __name__ == "__main__":
    main()
