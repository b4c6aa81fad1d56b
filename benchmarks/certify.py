"""Certification against the plain forward pass of the same dtype; the closed form alone; what K costs once.

    python -m benchmarks.certify [--device cpu] [--threads 1] [--batch 256] [--seconds 4] [-o FILE]

Certifying is the forward pass, the inputs' norms (for δ₆₄, measured by another pass for the rows where that counts;
under float32 the norms of every layer's input, met on the way), and the radii in closed form. Both are timed in turn,
pass by pass, and medians of the ratios are printed, of wall time and of processor time: the second does not feel
other programs' share of the cores, though their share of caches and memory it does. Points are per second of wall
time. Under --device cuda clocks are read once the device has done all it was given, and memory is its own, as torch
counts it; processor time says little there.

The closed form is timed on random logits. Its memory is what the process reaches above what it held before, results
(a mask, an order and radii a row) included; one pass over the radii gives VRA at every ε, so the curve costs a sort.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from auditor.methods.robustness import bound_model, certify, operator_norm_bound
from auditor.methods.robustness.graph import network
from auditor.methods.robustness.met_pass import MetPass, met_logits, sharpened_error
from auditor.terms import Affinity, Standard, TopK
from benchmarks.networks import six_c_two_f, two_c_two_f

EPSILON = 0.141
BATCHES = {"2C2F": 8, "6C2F": 1}
"""Certified at once: as in an audit, batches go through the network and all their rows through the closed form."""

CLASSES, SETS, MEMBERS = 1000, 200, 20
ROWS = (1024, 4096, 16384)
EPSILONS = 200
DRAWN = torch.rand(SETS, CLASSES, generator=torch.Generator().manual_seed(1)).argsort(1)[:, :MEMBERS]
GUARANTEES = {"standard": Standard(), "top 3": TopK(3), "affinity": Affinity(tuple(map(tuple, DRAWN.tolist())))}


class Spent(NamedTuple):
    """Seconds."""

    wall: float
    processor: float


def spent(work: Callable[[], object]) -> Spent:
    _settle()
    wall, processor = time.perf_counter(), time.process_time()
    work()
    _settle()
    return Spent(time.perf_counter() - wall, time.process_time() - processor)


def _settle() -> None:
    """Waits for the device to be idle."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def throughput(
    model: nn.Module,
    shape: tuple[int, ...],
    guarantee: Standard | TopK,
    arithmetic: str,
    batches: int,
    options: argparse.Namespace,
) -> str:
    model = model.to(options.device)
    bounds = bound_model(model, shape, arithmetic=arithmetic)  # pyright: ignore[reportArgumentType]
    met = MetPass(network(model, shape), bounds)
    single = met if arithmetic == "float32" else None
    dtype = torch.float64 if single is None else torch.float32
    model, reach = model.to(dtype), bounds.reach.to(options.device)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(batches * options.batch, *shape, generator=generator).to(options.device, dtype)

    def forward() -> Tensor:
        return torch.cat([model(part) for part in inputs.split(options.batch)])

    def certifying() -> Tensor:
        if single is None:
            logits = forward()
            error = sharpened_error(bounds, inputs, logits, lambda: met, device=options.device)
        else:
            logits, error = met_logits(single, inputs, device=options.device, batch=options.batch)
        made = certify(logits, reach, EPSILON, guarantee, logits_error=error, within=bounds.error.within)
        return made.certified

    plain, certified = [], []
    with torch.inference_mode():
        end = time.perf_counter() + options.seconds
        while time.perf_counter() < end or len(plain) < 6:
            plain.append(spent(forward))
            certified.append(spent(certifying))
    pairs = list(zip(plain, certified, strict=True))[1:]
    wall, processor = (statistics.median(one[at] / two[at] for one, two in pairs) for at in (0, 1))
    rates = [len(inputs) / statistics.median(each.wall for each in times[1:]) for times in (plain, certified)]
    return f"{str(dtype)[6:]} | {rates[0]:,.0f} | {rates[1]:,.0f} | {wall:.3f} | {processor:.3f}"


def peak(work: Callable[[], object], device: str) -> float:
    """MiB of memory that `work` reaches above what is held now: of `device`, on a CPU resident memory."""
    gc.collect()
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = _resident("VmRSS")
    work()
    return (_resident("VmHWM") - before) / 1024


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def closed_form(guarantee: Standard | TopK | Affinity, rows: int, device: str) -> str:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(rows, CLASSES, generator=generator, dtype=torch.float64).to(device)
    constants = torch.rand(CLASSES, CLASSES, generator=generator, dtype=torch.float64).fill_diagonal_(0.0).to(device)
    labels = logits.argmax(1)

    def once() -> Tensor:
        radius = certify(logits, constants, 0.01, guarantee, labels=labels, logits_error=1e-9).vra_radius
        assert radius is not None
        return radius

    clock = 1 if device == "cpu" else 0
    reached = peak(once, device)
    taken = statistics.median(spent(once)[clock] for _ in range(3))
    radii = once()
    epsilons = torch.linspace(1e-6, float(radii.max()), EPSILONS, dtype=torch.float64, device=device)
    curve = spent(lambda: 1 - torch.searchsorted(radii.sort().values, epsilons) / rows)
    return f"{rows:,} | {taken / rows * 1e6:,.0f} µs | {reached:,.0f} MiB | {curve.wall * 1000:.1f} ms"


def constants_once(device: str) -> list[str]:
    lines = []
    for name, build in (("2C2F", two_c_two_f), ("6C2F", six_c_two_f)):
        model, shape = build()
        model = model.to(device)
        lines.append(_once(f"K of {name}", 1, lambda model=model, shape=shape: bound_model(model, shape)))
    layer = nn.Conv2d(256, 256, 3, padding=1).requires_grad_(False).to(device)
    for threads in (1, 2):
        lines.append(_once("3×3, 256→256 on 32×32", threads, lambda: operator_norm_bound(layer, (256, 32, 32))))
    return lines


def _once(name: str, threads: int, work: Callable[[], object]) -> str:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    times = [spent(work) for _ in range(3)]
    torch.set_num_threads(before)
    wall, processor = (statistics.median(each[at] for each in times) for at in (0, 1))
    return f"| {name} | {threads} | {wall:.2f} s | {processor:.2f} s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each network and guarantee")
    parser.add_argument("--closed", nargs=2, metavar=("GUARANTEE", "ROWS"), help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.closed:
        print(closed_form(GUARANTEES[options.closed[0]], int(options.closed[1]), options.device))
        return
    load = [", ".join(f"{each:.1f}" for each in os.getloadavg())]
    lines = [
        "| network, guarantee | dtype | forward, points/s | certified, points/s | ratio | of processor time |",
        "|---|---|---|---|---|---|",
    ]
    for name, build in (("2C2F", two_c_two_f), ("6C2F", six_c_two_f)):
        for arithmetic in ("real", "float32"):
            for guarantee in (Standard(), TopK(3)):
                figures = throughput(*build(), guarantee, arithmetic, BATCHES[name], options)
                lines.append(f"| {name}, {guarantee.tag}, arithmetic {arithmetic} | {figures} |")
    clock = "processor time" if options.device == "cpu" else "time"
    lines += [
        "",
        f"The closed form alone, {CLASSES:,} classes, affinity with {SETS} sets of {MEMBERS}:",
        "",
        f"| guarantee | rows | {clock} a row | memory | VRA at {EPSILONS} ε |",
        "|---|---|---|---|---|",
    ]
    for name in GUARANTEES:
        for rows in ROWS:
            # A process of its own: memory that was used before would not show.
            command = [
                sys.executable,
                "-m",
                "benchmarks.certify",
                "--device",
                options.device,
                "--closed",
                name,
                str(rows),
            ]
            found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
            lines.append(f"| {name} | {found} |")
    lines += ["", "Once for a network:", "", "| | threads | wall time | processor time |", "|---|---|---|---|"]
    lines += constants_once(options.device)
    load.append(", ".join(f"{each:.1f}" for each in os.getloadavg()))
    where = platform.machine() if options.device == "cpu" else torch.cuda.get_device_name()
    head = (
        f"{where}, {os.cpu_count()} cores, torch {torch.__version__}, {options.threads} thread(s), "
        f"batch {options.batch}, {date.today()}, load {load[0]} at the start and {load[1]} at the end."
    )
    text = "\n".join((head, "", *lines)) + "\n"
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
