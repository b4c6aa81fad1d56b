"""Accuracy under our attack against torchattacks' AutoAttack, on the same networks, rows and balls, side by side.

    python -m benchmarks.attacks [--rows 300] [--threads 1] [-o benchmarks/attacks.md]

Two networks of the digits example are trained here from fixed seeds: by cross-entropy, and as a GloRo net. Two more
hide their gradients: the first one's logits times 1000, which make every probability 0 or 1 in float32, and a network
behind a steep sigmoid, which leaves next to no slope at most pixels. The last has no gradient at all, since it rounds
its pixels. Ours runs as `robustness.attacked` does by default. The peer is optional and belongs into an environment of
its own:

    python -m pip install --no-deps --target PEER torchattacks==3.5.1
    PYTHONPATH=PEER python -m benchmarks.attacks

(`--no-deps`, since its pinned requirements would replace torch.) AutoAttack is APGD on cross-entropy, targeted APGD and
FAB at nine classes, and Square with 5,000 queries. A row counts as broken if a point of the ball, confirmed in float64,
has another label; both are held to that, with a relative 1e-5 of leeway for the peer's float32 projection.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from auditor.methods.robustness.attacks import pgd
from auditor.methods.robustness.ball import length
from auditor.methods.training import Adam, CrossEntropy, GloRo, Recipe, Schedule, train
from auditor.terms import Norm
from examples.digits.model import build

LEEWAY = 1 + 1e-5

STEEPNESS = 20.0
"""Of the sigmoid that hides gradients: 20 · ½ from the middle its slope is e⁻¹⁰ of the largest."""


class Attacked(NamedTuple):
    """Which rows fell [rows], and the seconds it took."""

    broken: Tensor
    seconds: float


def digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    pixels, target = load_digits(return_X_y=True)
    return torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(target)


def trained(
    objective: CrossEntropy | GloRo, inputs: Tensor, labels: Tensor, *, front: nn.Module | None = None
) -> nn.Module:
    torch.manual_seed(0)
    model = build() if front is None else nn.Sequential(front, build())
    recipe = Recipe(
        epochs=40, batch_size=64, objective=objective, optimizer=Adam(Schedule(0.002, 1e-5, "exponential", 0.5)),
        initialization="orthogonal",
    )  # fmt: skip
    for _ in train(model, inputs, labels, recipe, generator=torch.Generator().manual_seed(7)):
        pass
    return model.eval().requires_grad_(False)


class Steep(nn.Module):
    """Pixels pushed towards 0 and 1 before anything else."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(STEEPNESS * (x - 0.5))


class Rounded(nn.Module):
    """Pixels rounded to quarters before anything else: no gradient anywhere."""

    def forward(self, x: Tensor) -> Tensor:
        return (4 * x).round() / 4


class Loud(nn.Module):
    """Logits times 1000."""

    def forward(self, x: Tensor) -> Tensor:
        return 1000 * x


def ours(model: nn.Module, inputs: Tensor, labels: Tensor, epsilon: float, norm: Norm) -> Attacked:
    """The right rows by the default attack of the checks."""
    start = time.perf_counter()
    found = pgd(model, inputs, epsilon=epsilon, norm=norm, box=(0.0, 1.0))
    return Attacked(found.found, time.perf_counter() - start)


def theirs(model: nn.Module, inputs: Tensor, labels: Tensor, epsilon: float, norm: Norm) -> Attacked | None:
    """AutoAttack of torchattacks in its standard version; None where that is not installed."""
    try:
        import torchattacks  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        return None
    kind = {"l2": "L2", "linf": "Linf"}[norm]
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attack = torchattacks.AutoAttack(model, norm=kind, eps=epsilon, n_classes=10, version="standard", seed=0)
        points = attack(inputs, labels).detach()
    seconds = time.perf_counter() - start
    near = length(points.double() - inputs.double(), norm) <= epsilon * LEEWAY
    model.double()
    fell = model(points.double()).argmax(1) != labels
    model.float()
    return Attacked(near & fell & (points == points.clamp(0, 1)).flatten(1).all(1), seconds)


def compared(name: str, model: nn.Module, inputs: Tensor, labels: Tensor, epsilon: float, norm: Norm) -> str:
    right = model(inputs).argmax(1) == labels
    rows = int(right.sum())
    mine = ours(model, inputs[right], labels[right], epsilon, norm)
    peer = theirs(model, inputs[right], labels[right], epsilon, norm)

    def share(broken: Tensor) -> str:
        return f"{(rows - int(broken.sum())) / len(inputs):.3f}"

    line = f"| {name}, {norm} {epsilon:g} | {rows / len(inputs):.3f} | {share(mine.broken)} | {mine.seconds:.1f} s | "
    if peer is None:
        return line + "– | – | – | – |"
    only = int((mine.broken & ~peer.broken).sum()), int((peer.broken & ~mine.broken).sum())
    return line + f"{share(peer.broken)} | {peer.seconds:.1f} s | {only[0]} | {only[1]} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", metavar="NETWORK")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    inputs, labels = digits()
    networks = {
        "cross-entropy": trained(CrossEntropy(), inputs[::2], labels[::2]),
        "GloRo": trained(GloRo(Schedule(0.2)), inputs[::2], labels[::2]),
    }
    networks["loud logits"] = nn.Sequential(networks["cross-entropy"], Loud()).eval()
    networks["steep input"] = trained(CrossEntropy(), inputs[::2], labels[::2], front=Steep())
    networks["rounded input"] = trained(CrossEntropy(), inputs[::2], labels[::2], front=Rounded())
    inputs, labels = inputs[1::2][: options.rows], labels[1::2][: options.rows]
    try:
        import torchattacks  # pyright: ignore[reportMissingImports]

        peer = f"torchattacks {torchattacks.__version__}, AutoAttack standard"
    except ModuleNotFoundError:
        peer = "torchattacks is not installed, so ours runs alone"
    lines = [
        f"Digits, {len(inputs)} test rows; {options.threads} thread(s), torch {torch.__version__}; {peer}.",
        "Accuracy under attack: lower is the stronger attack.",
        "",
        "| network, ball | clean | ours | time | AutoAttack | time | broken by ours alone | by AutoAttack alone |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    balls: tuple[tuple[Norm, float], ...] = (("l2", 0.3), ("l2", 0.8), ("linf", 0.05), ("linf", 0.15))
    for name, model in networks.items() if options.only is None else [(options.only, networks[options.only])]:
        for norm, epsilon in balls:
            lines.append(compared(name, model, inputs, labels, epsilon, norm))
            print(lines[-1], flush=True)
            if options.output is not None:
                options.output.write_text("# Attacks\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
