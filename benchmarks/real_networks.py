"""Architectures that people train: how long their constants take on one thread, and how large they are.

    python -m benchmarks.real_networks [--width 64] [--only NAME] [-o FILE]

K is the largest constant of a margin, of random weights, and says what the walk makes of depth: products of norms that
nobody trained to be small. The error is what float64 may make of the logits of an input of norm 10: as the weights
alone say, and from the norms that a pass meets. Time is of the processor, on one thread.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from auditor.methods.robustness import bound_model
from auditor.methods.robustness.graph import network
from auditor.methods.robustness.met_pass import MetPass
from benchmarks.architectures import ARCHITECTURES, SHAPE, made

HEAD = "| network | parameters | layers in the bound | K | error at norm 10 | of norms met | processor time |"


def row(name: str, width: int) -> str:
    model = made(name, width=width)
    count = sum(parameter.numel() for parameter in model.parameters())
    start = time.process_time()
    bounds = bound_model(model, SHAPE)
    seconds = time.process_time() - start
    inputs = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inputs *= 10 / inputs.norm()
    errors = bounds.error.at(inputs.norm()[None]), MetPass(network(model, SHAPE), bounds)(inputs).error
    stated = " | ".join(f"{float(error):.2g}" for error in errors)
    return f"| {name} | {count:,} | {len(bounds.layers)} | {bounds.margins.max():.3g} | {stated} | {seconds:.1f} s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--only", choices=ARCHITECTURES)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    # What torch imports at the first tracing belongs to no network.
    bound_model(made("LiResNet", width=4), SHAPE)
    lines = [HEAD, "|" + " --- |" * (HEAD.count("|") - 1)]
    for name in [options.only] if options.only else ARCHITECTURES:
        lines.append(row(name, options.width))
        print(lines[-1], flush=True)
    if options.output is not None:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
