"""Certification throughput against the plain forward pass of the same dtype, K precomputed.

    python -m benchmarks.certify [--threads 1] [--batch 256] [--batches 10] [-o FILE]

Certifying is the forward pass, the inputs' norms (for δ₆₄), and the radii in closed form. Both are timed in turn, batch
by batch, and the median ratio is printed, so a noisy machine disturbs both alike.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from torch import nn

from auditor.methods.robustness import TopK, bound_model, certify
from auditor.terms import Standard
from benchmarks.networks import six_c_two_f, two_c_two_f


def throughput(model: nn.Module, shape: tuple[int, ...], guarantee: Standard | TopK, batch: int, batches: int) -> str:
    start = time.perf_counter()
    bounds = bound_model(model, shape)
    preparation = time.perf_counter() - start
    double = model.double()
    inputs = torch.rand(batch, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain, certified, ratios = [], [], []
    with torch.inference_mode():
        for _ in range(batches + 1):
            start = time.perf_counter()
            double(inputs)
            middle = time.perf_counter()
            logits = double(inputs)
            error = bounds.error.at(inputs.flatten(1).norm(dim=1))
            certify(logits, bounds.margins, 0.141, guarantee, logits_error=error)
            end = time.perf_counter()
            plain.append(middle - start)
            certified.append(end - middle)
            ratios.append((middle - start) / (end - middle))
    model.float()
    forward, with_proof = batch / statistics.median(plain[1:]), batch / statistics.median(certified[1:])
    return f"{forward:,.0f} | {with_proof:,.0f} | {statistics.median(ratios[1:]):.3f} | {preparation:.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lines = [
        "| network, guarantee | forward, points/s | certified, points/s | ratio | K once |",
        "|---|---|---|---|---|",
    ]
    for name, build in (("2C2F", two_c_two_f), ("6C2F", six_c_two_f)):
        for guarantee in (Standard(), TopK(3)):
            model, shape = build()
            figures = throughput(model, shape, guarantee, options.batch, options.batches)
            lines.append(f"| {name}, {guarantee.tag} | {figures} |")
    text = f"{torch.get_num_threads()} thread(s), float64, batch {options.batch}\n\n" + "\n".join(lines) + "\n"
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
