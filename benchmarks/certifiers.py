"""Our certificates beside those of gloro and auto_LiRPA: the same network, the same rows, one thread each.

    python -m benchmarks.certifiers [--gloro PYTHON] [--lirpa PYTHON] [--rows 512] [-o FILE]

Each peer runs in an environment of its own, given by its Python, because they need old libraries (benchmarks/peers); a
peer that is not given, or fails, is a line that says so. Two networks: 2C2F trained for a while on scikit-learn's
digits drawn large, where shares mean something, and 6C2F with its first weights, for speed. Share: certified rows of
all. Ratio: against the forward pass of the same program in the same dtype. Peak: resident memory of the whole process.

Only ours are upper bounds with every rounding counted: gloro's constants come from power iteration in float32, from
below; auto_LiRPA's bounds are right but for float32's rounding, which it does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from auditor.methods.robustness import bound_model, certify
from auditor.methods.robustness.graph import network
from auditor.methods.robustness.met_pass import MetPass
from auditor.methods.training import Adam, GloRo, MinMax, Recipe, Schedule, train
from benchmarks.networks import six_c_two_f, two_c_two_f

EPSILON = {"2C2F": 0.5, "6C2F": 0.01}
BATCH = 256
PEERS = Path(__file__).parent / "peers"
METHODS = ("IBP", "CROWN-IBP", "CROWN")
ROWS_TRIED = {"CROWN-IBP": 64, "CROWN": 8}
"""Rows of the slow methods."""
MEMORY = 12 * 2**30
"""A peer that needs more is stopped, so that the machine stays usable."""
PATIENCE = 300.0
SAME = 1e-4
"""Logits of one network in float32 differ by less."""


def large_digits() -> tuple[Tensor, Tensor]:
    """Handwritten digits as 28×28 images: each pixel three times three, two pixels of border."""
    pixels, target = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    large = images.repeat_interleave(3, 2).repeat_interleave(3, 3)
    return nn.functional.pad(large, (2, 2, 2, 2)), torch.tensor(target)


def prepared(name: str, rows: int) -> tuple[nn.Module, tuple[int, ...], Tensor]:
    if name == "6C2F":
        model, shape = six_c_two_f()
        return model, shape, torch.rand(rows, *shape, generator=torch.Generator().manual_seed(0))
    model, shape = two_c_two_f()
    inputs, labels = large_digits()
    recipe = Recipe(20, 128, GloRo(Schedule(0.1, EPSILON[name], "linear", 0.5)), Adam(Schedule(1e-3)))
    model.requires_grad_(True)
    for _ in train(model, inputs[rows:], labels[rows:], recipe, generator=torch.Generator().manual_seed(0)):
        pass
    return model.eval().requires_grad_(False), shape, inputs[:rows]


def written(file: Path, name: str, model: nn.Module, rows: Tensor) -> None:
    """The network as its layers' kinds and weights, which every program can build again."""
    layers: list[tuple[str, int, int]] = []
    tensors: dict[str, np.ndarray] = {"rows": rows.numpy(), "logits": model(rows).numpy()}
    for place, layer in enumerate(model.children()):
        kind = {nn.Conv2d: "convolution", nn.Linear: "dense", MinMax: "minmax", nn.Flatten: "flatten"}[type(layer)]
        stride, padding = (layer.stride[0], layer.padding[0]) if isinstance(layer, nn.Conv2d) else (1, 0)
        layers.append((kind, stride, int(padding)))
        tensors |= {f"{place}.{each}": tensor.numpy() for each, tensor in layer.state_dict().items()}
    stated = {
        "layers": layers, "epsilon": EPSILON[name], "batch": BATCH,
        "limit": ROWS_TRIED, "peer_batch": {"CROWN-IBP": 16, "CROWN": 1},
    }  # fmt: skip
    np.savez(file, stated=json.dumps(stated), **tensors)  # pyright: ignore[reportArgumentType]


def timed(forward: Callable[[Tensor], Any], certifying: Callable[[Tensor], Any], rows: Tensor) -> tuple[float, float]:
    """Rows per second of both, run in turn; medians of seven after one that prepares."""
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(8):
        for function, each in zip((forward, certifying), spent, strict=True):
            start = time.perf_counter()
            for part in rows.split(BATCH):
                function(part)
            each.append(time.perf_counter() - start)
    return len(rows) / statistics.median(spent[0][1:]), len(rows) / statistics.median(spent[1][1:])


def ours(name: str, rows: int, arithmetic: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    model, shape, inputs = prepared(name, rows)
    start = time.perf_counter()
    bounds = bound_model(model, shape, arithmetic=arithmetic)  # pyright: ignore[reportArgumentType]
    preparation = time.perf_counter() - start
    run = MetPass(network(model, shape), bounds) if arithmetic == "float32" else None
    if run is None:
        model, inputs = model.double(), inputs.double()

    def certifying(part: Tensor) -> Tensor:
        if run is None:
            logits, error = model(part), bounds.error.at(part.flatten(1).norm(dim=1))
        else:
            logits, error = run(part)
        made = certify(logits, bounds.reach, EPSILON[name], logits_error=error, within=bounds.error.within)
        return made.certified

    with torch.inference_mode():
        forward, rate = timed(model, certifying, inputs)
        held = torch.cat([certifying(part) for part in inputs.split(BATCH)])
    return {
        "version": f"ours, torch {torch.__version__}",
        "certified": held.tolist(),
        "rate": rate,
        "forward": forward,
        "preparation": preparation,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def asked(command: list[str]) -> dict[str, Any] | str:
    """What a process of its own found, or why it found nothing."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))

    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=PATIENCE, check=False, preexec_fn=limited
        )
    except subprocess.TimeoutExpired:
        return f"not done in {PATIENCE:.0f} s"
    except OSError as error:
        return f"does not start: {error}"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        return last if len(last) < 100 else last[:97] + "..."
    return json.loads(done.stdout.strip().splitlines()[-1])


def line(name: str, method: str, found: dict[str, Any] | str) -> str:
    if isinstance(found, str):
        return f"| {name} | {method} | – | – | – | – | {found} |"
    if found.get("difference", 0.0) > SAME:
        return f"| {name} | {method} | – | – | – | – | another network: logits differ by {found['difference']:.3g} |"
    held = found["certified"]
    share = f"{sum(held) / len(held):.3f} of {len(held)}"
    ratio = found["rate"] / found["forward"]
    return (
        f"| {name} | {method} | {share} | {found['rate']:,.1f} | {ratio:.3g} | {found['peak']:,.0f} MiB | "
        f"{found['version']} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gloro", metavar="PYTHON")
    parser.add_argument("--lirpa", metavar="PYTHON")
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--own", nargs=2, metavar=("NETWORK", "ARITHMETIC"), help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if options.own:
        print(json.dumps(ours(options.own[0], options.rows, options.own[1])))
        return
    lines = [
        "| network, ε | method | certified | points/s | ratio to forward | peak | with |",
        "|---|---|---|---|---|---|---|",
    ]
    absent = "not measured: no Python with it was given"
    with tempfile.TemporaryDirectory() as folder:
        for name in EPSILON:
            model, _, rows = prepared(name, options.rows)
            file = Path(folder) / f"{name}.npz"
            written(file, name, model, rows)
            own = [sys.executable, "-m", "benchmarks.certifiers", "--rows", str(options.rows), "--own", name]
            tried: list[tuple[str, dict[str, Any] | str]] = [
                ("ours, real (float64)", asked([*own, "real"])),
                ("ours, float32", asked([*own, "float32"])),
                ("gloro", asked([options.gloro, str(PEERS / "gloro_net.py"), str(file)]) if options.gloro else absent),
            ]
            for method in METHODS:
                command = [options.lirpa, str(PEERS / "lirpa.py"), str(file), method]
                tried.append((method, asked(command) if options.lirpa else absent))
            lines += [line(f"{name}, {EPSILON[name]}", *each) for each in tried]
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    head = f"{platform.processor() or platform.machine()}, one thread, {date.today()}, load {load}."
    text = "\n".join((head, "", *lines)) + "\n"
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
