"""Integrated Gradients on the EuroSAT-shaped network (thesis B.5): ours against captum, side by side, one thread.

    python benchmarks/influence.py [--rows 8] [--data FOLDER] [--out FILE]

Each contender runs in a process of its own, the two alternating; the median counts. Time is the CPU time of the one
thread, so that a busy machine disturbs it little. Both hold 16 points at a time;
captum by default holds all points of all rows, which is shown beside it for equal work. Three questions:

- equal work: 64 trapezoids a row, points (gradients) per second;
- equal answer: completeness within 1e-3 of the larger of the difference and 1 % of its spread, rows per second. captum
  takes one number of steps for all rows; it is given the smallest power of two at which as many rows are complete as
  in our run, though a user would have to find it by trying, and only its last run is counted;
- along a latent line: the same with the output of blocks.1 as the slice (captum: LayerIntegratedGradients).

Memory is what the process's resident size grows by at its peak during the run. With `--data` (a folder with
train.parquet, as EuroSAT's) the network is first trained on 2,000 patches, otherwise on noise with a planted pattern.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from auditor.methods.influence import Slice, distribution, explain, quantity
from auditor.methods.training.layers import MinMax

BATCH = 16
STEPS = 64
TOLERANCE = 1e-3
OF = quantity.Class(8, against=3)
CASES = ("equal work", "equal answer", "equal answer, latent line")


def network() -> nn.Module:
    """Blocks of 32 and 64 channels, invertible down-sampling, two dense layers of 256 (thesis B.5)."""
    torch.manual_seed(0)
    model = nn.Sequential()
    first = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), MinMax(), nn.PixelUnshuffle(2))
    second = nn.Sequential(nn.Conv2d(128, 64, 3, padding=1), MinMax(), nn.PixelUnshuffle(2))
    model.add_module("blocks", nn.Sequential(first, second))
    dense = (nn.Linear(65536, 256), MinMax(), nn.Linear(256, 256), MinMax(), nn.Linear(256, 10))
    model.add_module("head", nn.Sequential(nn.Flatten(), *dense))
    return model


def patches(folder: str | None, rows: int) -> tuple[Tensor, Tensor]:
    """float32 [rows, 3, 64, 64] in [0, 1] with int64 labels."""
    if folder is None:
        generator = torch.Generator().manual_seed(0)
        labels = torch.randint(10, (rows,), generator=generator)
        patterns = torch.rand(10, 3, 64, 64, generator=generator)
        noise = torch.rand(rows, 3, 64, 64, generator=generator)
        return 0.3 * patterns[labels] + 0.7 * noise, labels
    import numpy as np
    import pyarrow.parquet as pq
    from PIL import Image

    table = pq.read_table(Path(folder) / "train.parquet").slice(0, rows)
    pictures = [np.asarray(Image.open(io.BytesIO(cell["bytes"])).convert("RGB")) for cell in table["image"].to_pylist()]
    inputs = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div(255).contiguous()
    return inputs, torch.tensor(table["label"].to_pylist())


def train(path: Path, folder: str | None) -> None:
    """One epoch of Adam on 2,000 patches, so that logits depend on the input as a trained network's do."""
    x, y = patches(folder, 2000)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)
    for batch in torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).split(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = float((model(x[:500]).argmax(1) == y[:500]).float().mean())
    print(f"trained on {len(x)} patches, accuracy {accuracy:.2f} on 500 of them", file=sys.stderr)
    torch.save(model.state_dict(), path)


def ours(model: nn.Module, x: Tensor, case: str, steps: int) -> dict[str, float]:
    equal_work = case == "equal work"
    latent = case.endswith("latent line")
    start = distribution.Linear(0.0)
    if latent:
        with torch.no_grad():
            start = distribution.Linear(model.get_submodule("blocks")(torch.zeros_like(x[:1]))[0], at="slice")
    found = explain(
        model,
        x,
        slice=Slice(layer="blocks.1") if latent else Slice(),
        quantity=OF,
        distribution=start,
        units="attribution",
        batch_size=BATCH,
        tolerance=0.0 if equal_work else TOLERANCE,
        max_steps=STEPS if equal_work else 1024,
    )
    complete = float((found.residual <= TOLERANCE).double().mean())
    return {"points": float((found.steps + 1).sum()), "complete": complete, "most": float(found.steps.max())}


def captum(model: nn.Module, x: Tensor, case: str, steps: int, batch: int | None = BATCH) -> dict[str, float]:
    from captum.attr import IntegratedGradients, LayerIntegratedGradients

    def lead(points: Tensor) -> Tensor:
        logits = model(points)
        return logits[:, OF.of] - logits[:, OF.against]

    latent = case.endswith("latent line")
    method = LayerIntegratedGradients(lead, model.get_submodule("blocks.1")) if latent else IntegratedGradients(lead)
    found = method.attribute(x, baselines=0.0, n_steps=steps, method="riemann_trapezoid", internal_batch_size=batch)
    assert isinstance(found, Tensor)
    with torch.no_grad():
        difference = torch.cat([lead(part) for part in x.split(BATCH)]) - lead(torch.zeros_like(x[:1]))
    missed = (found.flatten(1).sum(1) * steps / (steps - 1) - difference).abs()
    scale = torch.maximum(difference.abs(), 0.01 * difference.std())
    complete = float((missed / scale <= TOLERANCE).double().mean())
    return {"points": float(steps * len(x)), "complete": complete, "most": float(steps)}


CONTENDERS = {"ours": ours, "captum": captum, "captum by default": partial(captum, batch=None)}


def contend(who: str, case: str, steps: int, weights: Path, folder: str | None, rows: int) -> None:
    """One run, its result as JSON on the last line."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    x, _ = patches(folder, rows)
    model = network()
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval().requires_grad_(False)
    run = CONTENDERS[who]
    probe = x[:1].clone().requires_grad_()
    torch.autograd.grad(model(probe).sum(), probe)
    Path("/proc/self/clear_refs").write_text("5")
    before, started = memory("VmRSS"), time.process_time()
    result = run(model, x, case, steps)
    seconds = time.process_time() - started
    print(json.dumps({**result, "seconds": seconds, "mib": memory("VmHWM") - before}))


def memory(which: str) -> float:
    """Linux: a field of /proc/self/status, MiB. VmHWM is the peak since it was last reset through clear_refs."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(which))
    return int(line.split()[1]) / 1024


def measured(who: str, case: str, steps: int, weights: Path, folder: str | None, rows: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--who", who, "--case", case, "--steps", str(steps)]
    command += ["--weights", str(weights), "--rows", str(rows), *(["--data", folder] if folder else [])]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def compare(case: str, weights: Path, folder: str | None, rows: int, repeats: int) -> list[str]:
    """Rows of the table for `case`."""
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "captum": []}
    runs["ours"].append(measured("ours", case, 0, weights, folder, rows))
    steps = STEPS + 1 if case == "equal work" else 64
    found = measured("captum", case, steps, weights, folder, rows)
    while case != "equal work" and steps < 1024 and found["complete"] < runs["ours"][0]["complete"]:
        steps *= 2
        found = measured("captum", case, steps, weights, folder, rows)
    runs["captum"].append(found)
    for _ in range(repeats - 1):
        runs["ours"].append(measured("ours", case, 0, weights, folder, rows))
        runs["captum"].append(measured("captum", case, steps, weights, folder, rows))
    if case == "equal work":
        runs["captum by default"] = [measured("captum by default", case, steps, weights, folder, rows)]
    unit = "points/s" if case == "equal work" else "rows/s"
    rate, peak = {}, {}
    for who, results in runs.items():
        seconds = statistics.median(result["seconds"] for result in results)
        amount = results[0]["points"] if case == "equal work" else rows
        rate[who], peak[who] = amount / seconds, statistics.median(result["mib"] for result in results)
    lines = []
    for who in runs:
        result = runs[who][0]
        lines.append(
            f"| {case} | {who} | {rate[who]:.2f} {unit} | {result['points'] / rows:.0f} | {result['most']:.0f}"
            f" | {100 * result['complete']:.0f} % | {peak[who]:.0f} MiB |"
        )
    lines.append(
        f"| | ours to captum | {rate['ours'] / rate['captum']:.2f} | | | | {peak['ours'] / peak['captum']:.2f} |"
    )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path, help="write the table here, too")
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--who", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.who is not None:
        contend(given.who, given.case, given.steps, given.weights, given.data, given.rows)
        return
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.pt"
        train(weights, given.data)
        lines = [
            "| case | who | speed | points a row | most steps | complete | memory |",
            "|---|---|---|---|---|---|---|",
        ]
        for case in CASES:
            lines += compare(case, weights, given.data, given.rows, given.repeats)
    print("\n".join(lines))
    if given.out is not None:
        given.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
