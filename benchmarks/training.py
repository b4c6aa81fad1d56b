"""What GloRo training costs beside standard training of the same network: time per epoch and peak memory.

    python -m benchmarks.training [--threads 2] [--batch 512] [--batches 4] [--rounds 5] [--device cpu]
        [--precision float32] [-o FILE]

The objectives train in turn, one short epoch each, so that a noisy machine disturbs all alike; the median of the ratios
of neighbouring epochs is printed. Memory is what a process of its own reaches above what it held before training, with
weights, gradients, Adam's moments and activations; on a GPU what torch allocated. Inputs are noise of the data's shape:
cost does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import torch
from torch import nn

from auditor.methods.training import Adam, CrossEntropy, Epoch, GloRo, Recipe, Schedule, train
from auditor.methods.training.architectures import gloro_2c2f, gloro_6c2f

NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "2C2F, MNIST": (gloro_2c2f, (1, 28, 28)),
    "6C2F, CIFAR-10": (gloro_6c2f, (3, 32, 32)),
}
OBJECTIVES = {
    "standard": CrossEntropy(),
    "GloRo, cross-entropy": GloRo(Schedule(0.141)),
    "GloRo, TRADES": GloRo(Schedule(0.141), trades=Schedule(1.2)),
}
MEBIBYTE = 2**20


def training(network: str, objective: str, options: argparse.Namespace, epochs: int) -> Iterator[Epoch]:
    build, shape = NETWORKS[network]
    torch.manual_seed(0)
    model = build().to(options.device)
    rows = options.batch * options.batches
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(rows, *shape, generator=generator).to(options.device)
    labels = torch.randint(10, (rows,), generator=generator).to(options.device)
    recipe = Recipe(epochs, options.batch, OBJECTIVES[objective], Adam(Schedule(1e-4)), precision=options.precision)
    return train(model, inputs, labels, recipe, generator=generator)


def seconds(network: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Of each objective's epochs, after one that prepares."""
    running = {name: training(network, name, options, options.rounds + 1) for name in OBJECTIVES}
    spent: dict[str, list[float]] = {name: [] for name in OBJECTIVES}
    for _ in range(options.rounds + 1):
        for name, epochs in running.items():
            start = time.perf_counter()
            next(epochs)
            if options.device != "cpu":
                torch.cuda.synchronize()
            spent[name].append(time.perf_counter() - start)
    return {name: times[1:] for name, times in spent.items()}


def own_memory(network: str, objective: str, options: argparse.Namespace) -> float:
    """MiB that this process reaches in the second of two epochs above what it holds now; the first prepares."""
    epochs = training(network, objective, options, 2)
    if options.device != "cpu":
        before = torch.cuda.memory_allocated()
        next(epochs)
        torch.cuda.reset_peak_memory_stats()
        next(epochs)
        return (torch.cuda.max_memory_allocated() - before) / MEBIBYTE
    before = resident("VmRSS")
    next(epochs)
    # From here on the highest is counted anew.
    Path("/proc/self/clear_refs").write_text("5", "utf-8")
    next(epochs)
    return resident("VmHWM") - before


def resident(which: str) -> float:
    """MiB of this process's memory, now (VmRSS) or at its highest (VmHWM), as Linux counts it."""
    status = Path("/proc/self/status").read_text("utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(which)) / 1024


def memory(network: str, objective: str) -> float:
    """`own_memory` of a fresh process."""
    command = [sys.executable, "-m", "benchmarks.training", *sys.argv[1:], "--memory", network, objective]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--memory", nargs=2, metavar=("NETWORK", "OBJECTIVE"), help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


def main() -> None:
    options = parsed()
    torch.set_num_threads(options.threads)
    if options.memory:
        network, objective = options.memory
        print(json.dumps(own_memory(network, objective, options)))
        return
    name = "CPU" if options.device == "cpu" else torch.cuda.get_device_name()
    lines = [
        f"{date.today()}, {platform.machine()} {name}, {options.threads} thread(s), torch {torch.__version__}, "
        f"{options.precision}, batch {options.batch}, {options.batches} batches an epoch, "
        f"{options.rounds} epochs each in turn.",
        "",
        "| network | objective | ms a batch | to standard | memory, MiB | to standard |",
        "|---|---|---|---|---|---|",
    ]
    for network in NETWORKS:
        spent = seconds(network, options)
        held = {objective: memory(network, objective) for objective in OBJECTIVES}
        for objective, times in spent.items():
            pairs = zip(times, spent["standard"], strict=True)
            ratio = statistics.median(time / standard for time, standard in pairs)
            batch = 1000 * statistics.median(times) / options.batches
            share = held[objective] / held["standard"]
            lines.append(
                f"| {network} | {objective} | {batch:,.0f} | {ratio:.2f} | {held[objective]:,.0f} | {share:.2f} |"
            )
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
