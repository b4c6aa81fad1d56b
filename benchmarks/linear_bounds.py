"""What linear bounds prove, and in what time: a convolutional network beside auto_LiRPA, and an ACAS Xu network.

    python -m benchmarks.linear_bounds [--lirpa PYTHON] [--acasxu ONNX] [--digits 16] [--rows 100] [-o FILE]

`digits`: the 2C2F of `benchmarks.certifiers`, trained for the global constant, in the 2-norm; the first rows, at a
radius where local bounds work and at the one it was trained for. auto_LiRPA runs in an environment of its own
(benchmarks/peers/lirpa.py), in float32, and counts no rounding; without one its lines say so. `acasxu`: network 1_1
(Katz et al. 2017), rows uniform in its box. Share: rows whose class is proved. Seconds: processor time a row, with one
thread, the peer's by the clock; slopes and splitting may take `BUDGET` a row, by the clock.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from auditor.methods.robustness import bound_model, certify
from auditor.methods.robustness.evaluation_error import Arithmetic
from auditor.methods.robustness.graph import network
from auditor.methods.robustness.linear_bounds import certify_locally, refining
from auditor.methods.robustness.linear_bounds.certifying import ball
from auditor.methods.robustness.linear_bounds.leads import compared, leads
from auditor.methods.robustness.linear_bounds.relaxation import Relaxation, steps
from auditor.terms import Norm
from benchmarks import certifiers

BUDGET = 5.0
DIGITS = (0.05, 0.5)
ACASXU = 0.01
LOW = (-0.328422877, -0.5, -0.5, -0.5, -0.5)
HIGH = (0.679857769, 0.5, 0.5, 0.5, 0.5)


class Case:
    """A network, rows and a ball around each; every method is asked for the top class alone."""

    def __init__(self, name: str, model: nn.Module, x: Tensor, epsilon: float, norm: Norm) -> None:
        self.name = f"{name}, {norm} {epsilon}"
        self.model, self.x, self.epsilon = model.double(), x.double(), epsilon
        self.norm: Norm = norm
        self.graph = network(self.model, tuple(x.shape[1:]))
        self.orders = self.graph(self.x).argsort(1, descending=True)

    def constant(self) -> Tensor:
        bounds = bound_model(self.model, tuple(self.x.shape[1:]), self.norm)
        error = bounds.error.at(self.x.flatten(1).norm(dim=1))
        return certify(self.graph(self.x), bounds.reach, self.epsilon, logits_error=error).certified

    def intervals(self) -> Tensor:
        relaxed = Relaxation(steps(self.graph), ball(self.x, self.epsilon, self.norm))
        relaxed.fill(tighten=False)
        pairs = compared(torch.ones(len(self.x), 1, dtype=torch.bool), self.orders.shape[1])
        ranked = torch.arange(1, self.orders.shape[1])
        low = relaxed.low[-1].gather(1, self.orders)[:, 0]
        high = relaxed.high[-1].gather(1, self.orders)[:, ranked].amax(1)
        # Lines over interval bounds alone prove at least as much: CROWN-IBP.
        self.crown_ibp = (leads(relaxed, pairs, self.orders) > 0).all(1)
        return low > high

    def crown(self, seconds: float, arithmetic: Arithmetic = "real") -> Tensor:
        wanted = torch.ones(len(self.x), 1, dtype=torch.bool)
        found = certify_locally(
            self.graph, self.x, self.epsilon, self.norm, wanted, self.orders, arithmetic=arithmetic, seconds=seconds
        )
        self.exhausted = int(found.exhausted.sum())
        return found.held[:, 0]

    def slopes(self) -> Tensor:
        with mock.patch.object(refining, "FEW_INPUTS", 0):
            return self.crown(BUDGET)

    def lines(self) -> list[str]:
        found = []
        methods = [
            ("global K, preparation included", self.constant),
            ("intervals", self.intervals),
            ("CROWN", lambda: self.crown(0.0)),
            ("CROWN, slopes", self.slopes),
        ]
        if self.x[0].numel() <= refining.FEW_INPUTS:
            methods.append(("CROWN, slopes, splitting", lambda: self.crown(BUDGET)))
        methods.append(("the same, for float32", lambda: self.crown(BUDGET, "float32")))
        for method, run in methods:
            start = time.process_time()
            held = run()
            seconds = (time.process_time() - start) / len(held)
            found.append(
                f"| {self.name} | ours: {method} | {held.double().mean():.3f} of {len(held)} | {seconds:.4f} |"
            )
            if method == "intervals":
                share = f"{self.crown_ibp.double().mean():.3f} of {len(held)}"
                found.append(f"| {self.name} | ours: CROWN-IBP | {share} | – |")
        found.append(f"| {self.name} | left open when time ran out | {self.exhausted} | – |")
        return found


def peers(python: str | None, model: nn.Module, rows: Tensor, epsilon: float) -> list[str]:
    """auto_LiRPA on the same network and rows."""
    name, found = f"digits 2C2F, l2 {epsilon}", []
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(certifiers.EPSILON, {"2C2F": epsilon}):
        file = Path(folder) / "network.npz"
        with mock.patch.object(certifiers, "ROWS_TRIED", {}):
            certifiers.written(file, "2C2F", model.float(), rows.float())
        for method in certifiers.METHODS:
            command = [str(python), str(certifiers.PEERS / "lirpa.py"), str(file), method]
            told: dict[str, Any] | str = certifiers.asked(command) if python else "not measured: no Python was given"
            if isinstance(told, str):
                found.append(f"| {name} | auto_LiRPA {method} | – | {told} |")
                continue
            held = told["certified"]
            share = f"{sum(held) / len(held):.3f} of {len(held)}"
            found.append(f"| {name} | {told['version']}, {method} | {share} | {1 / told['rate']:.4f} |")
    return found


def acasxu(file: Path, rows: int) -> tuple[nn.Module, Tensor]:
    """The network with its scores negated, since the lowest wins, and rows uniform in its box."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(file).graph
    tensors = {each.name: torch.tensor(numpy_helper.to_array(each)) for each in graph.initializer}
    layers: list[Any] = []
    for node in graph.node:
        if node.op_type == "MatMul":
            weight = tensors[node.input[1]].T
            layers.append(nn.Linear(weight.shape[1], weight.shape[0]).requires_grad_(False))
            layers[-1].weight.copy_(weight)
        elif node.op_type == "Add":
            layers[-1].bias.copy_(tensors[node.input[1]].flatten())
        elif node.op_type == "Relu":
            layers.append(nn.ReLU())
    layers[-1].weight.neg_()
    layers[-1].bias.neg_()
    unit = torch.rand(rows, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    low, high = (torch.tensor(each, dtype=torch.float64) for each in (LOW, HIGH))
    return nn.Sequential(*layers), low + (high - low) * unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lirpa", metavar="PYTHON")
    parser.add_argument("--acasxu", type=Path, metavar="ONNX")
    parser.add_argument("--digits", type=int, default=16)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = ["| network, ε | method | proved | seconds a row |", "|---|---|---|---|"]
    if options.acasxu:
        model, rows = acasxu(options.acasxu, options.rows)
        for norm in ("linf", "l2"):
            lines += Case("ACAS Xu 1_1", model, rows, ACASXU, norm).lines()
    if options.digits:
        model, _, rows = certifiers.prepared("2C2F", 512)
        rows = rows[: options.digits]
        for epsilon in DIGITS:
            lines += peers(options.lirpa, model, rows, epsilon)
            lines += Case("digits 2C2F", model, rows, epsilon, "l2").lines()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    head = f"{platform.processor() or platform.machine()}, one thread, {date.today()}, load {load}."
    text = "\n".join((head, "", *lines)) + "\n"
    print(text)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
