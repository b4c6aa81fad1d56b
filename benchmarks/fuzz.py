"""A search for a false certificate: random networks with branches, attacked inside the radii certified for them.

    python -m benchmarks.fuzz [--minutes 5] [--seed 0] [--rows 8]

Each trial draws a network (residual and dense blocks, strides, groups, dilation, every padding mode, transposed
convolution, pooling, batch normalisation, sometimes with hidden biases of up to 2²⁴ that a later mean removes), bounds
it in both arithmetics and both norms, and climbs every rival's margin inside each certified radius: in float64 for
`real`, by replay in float32 from the float64 climb and from random points for `float32`. Linear bounds are tried on the
same networks, with radii up to where they prove nothing any more, and attacked alike (`crown`). A trial that breaks a
certificate is printed with its seed, and the exit code is 1.

Closest miss: the smallest share of a margin that was left at a point inside the radius; 0 would be a flip.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import NamedTuple

import torch
from torch import Tensor, nn

from auditor.errors import Unsupported
from auditor.methods.robustness import bound_model, certify
from auditor.methods.robustness.ball import steepest
from auditor.methods.robustness.evaluation_error import Arithmetic, EvaluationError
from auditor.methods.robustness.graph import network
from auditor.methods.robustness.linear_bounds import certify_locally
from auditor.methods.robustness.met_pass import MetPass
from auditor.terms import Norm
from tests.methods.robustness.random_graphs import strained

STEPS = 12
INSIDE = 1 - 1e-9


class Tally(NamedTuple):
    """`attacks`: points inside a certified radius at which the network was evaluated."""

    certified: int
    attacks: int
    broken: int
    closest: float

    def plus(self, other: Tally) -> Tally:
        return Tally(
            self.certified + other.certified,
            self.attacks + other.attacks,
            self.broken + other.broken,
            min(self.closest, other.closest),
        )


NOTHING = Tally(0, 0, 0, 1.0)


def climbed(model: nn.Module, x: Tensor, winner: Tensor, rival: Tensor, radius: Tensor, norm: Norm) -> list[Tensor]:
    """Points within `radius` [rows] of x where the rival gains on the winner, one tensor a step."""
    reach = radius[:, None, None, None]
    delta, found = torch.zeros_like(x), []
    for step in range(STEPS):
        at = (x + delta).requires_grad_(True)
        out = model(at)
        gain = (out.gather(1, rival) - out.gather(1, winner)).sum()
        (gradient,) = torch.autograd.grad(gain, at)
        delta = delta + (1.0 if step % 2 == 0 else 0.3) * reach * steepest(gradient, norm)
        delta = shortened(delta, radius, norm)
        found.append(x + delta)
    return found


def shortened(delta: Tensor, radius: Tensor, norm: Norm) -> Tensor:
    flat = delta.flatten(1)
    length = flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)
    return delta * (radius * INSIDE / length.clamp_min(1e-300)).clamp_max(1.0)[:, None, None, None]


def trial(seed: int, norm: Norm, arithmetic: Arithmetic, rows: int) -> Tally:
    """One network's certificates under attack. Raises Unsupported where it has no bound."""
    model = strained(seed)
    bounds = bound_model(model, model.shape, norm, arithmetic=arithmetic)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, *model.shape, generator=generator)
    single = strained(seed)
    double = model.double()
    logits = double(x.double())
    lengths = x.double().flatten(1).norm(dim=1)
    error = bounds.error.at(lengths)
    if arithmetic == "float32":
        computed, error = MetPass(network(model, model.shape), bounds)(x)
        logits = computed.double()
    made = certify(logits, bounds.reach, 0.0, logits_error=error, within=bounds.error.within)
    radius = made.radius.clamp_max(1e6)
    held = radius > 0
    return attacked(double, single, x, logits, radius, held, norm, arithmetic, bounds.error, generator)


LOCAL_RADII = (0.003, 0.01, 0.03, 0.1, 0.3)
SECONDS = 0.2
"""Of refinement a row."""


def local_trial(seed: int, norm: Norm, arithmetic: Arithmetic, rows: int) -> Tally:
    """The same of linear bounds: each row at the largest radius tried at which its class is proved."""
    model, single = strained(seed), strained(seed)
    bounds = bound_model(model, model.shape, norm, arithmetic=arithmetic)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, *model.shape, generator=generator)
    graph = network(model, model.shape)
    double = model.double()
    logits = single(x).double() if arithmetic == "float32" else double(x.double())
    order = logits.argsort(1, descending=True)
    wanted = torch.ones(rows, 1, dtype=torch.bool)
    radius = torch.zeros(rows, dtype=torch.float64)
    for epsilon in LOCAL_RADII:
        found = certify_locally(graph, x, epsilon, norm, wanted, order, arithmetic=arithmetic, seconds=SECONDS)
        proved = found.held[:, 0]
        radius[proved] = epsilon
    return attacked(double, single, x, logits, radius, radius > 0, norm, arithmetic, bounds.error, generator)


def attacked(
    double: nn.Module,
    single: nn.Module,
    x: Tensor,
    logits: Tensor,
    radius: Tensor,
    held: Tensor,
    norm: Norm,
    arithmetic: str,
    error: EvaluationError,
    generator: torch.Generator,
) -> Tally:
    """What climbs and replays within `radius` of the rows that are `held` meet."""
    if not bool(held.any()):
        return NOTHING
    x, logits, radius = x[held], logits[held], radius[held]
    lengths = x.double().flatten(1).norm(dim=1)
    winner = logits.argmax(1, keepdim=True)
    lead = logits.gather(1, winner)
    tally = NOTHING._replace(certified=len(x))
    for place in range(1, logits.shape[1]):
        rival = logits.argsort(1, descending=True)[:, place : place + 1]
        points = climbed(double, x.double(), winner, rival, radius, norm)
        if arithmetic == "float32":
            points += around(x, points[-1], radius, norm, generator)
        margin = (lead - logits.gather(1, rival)).flatten()
        for point in points:
            if arithmetic == "float32":
                point = point.float()
                inside = within(point.double() - x.double(), radius, norm)
                out = single(point).double()
            else:
                inside, out = torch.ones(len(x), dtype=torch.bool), double(point)
            left = (out.gather(1, winner) - out.gather(1, rival)).flatten()
            # In real arithmetic a flip must be larger than what float64 may have made of it.
            slack = (
                2 * error.at(lengths + (radius if norm == "l2" else radius * x[0].numel() ** 0.5))
                if arithmetic == "real"
                else torch.zeros_like(left)
            )
            flips = inside & (left + slack < 0 if arithmetic == "real" else left <= 0)
            share = torch.where(inside, left / margin, 1.0)
            tally = tally.plus(Tally(0, int(inside.sum()), int(flips.sum()), float(share.min())))
    return tally


def around(x: Tensor, point: Tensor, radius: Tensor, norm: Norm, generator: torch.Generator) -> list[Tensor]:
    """Random points of the ball, and last-bit neighbours of x and of where the climb ended."""
    found = []
    for scale in (1.0, 0.1):
        noise = torch.randn(x.shape, generator=generator, dtype=torch.float64) * scale * radius[:, None, None, None]
        found.append(x.double() + shortened(noise, radius, norm))
    for start in (x.double(), point):
        found.append(start * (1 + 2.0**-23 * torch.randint(-2, 3, x.shape, generator=generator)))
    return found


def within(delta: Tensor, radius: Tensor, norm: Norm) -> Tensor:
    flat = delta.flatten(1)
    return (flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)) <= radius


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    end = time.monotonic() + 60 * options.minutes
    totals: dict[tuple[str, str, str], Tally] = {}
    trials = refused = 0
    seed = options.seed
    while time.monotonic() < end:
        norm: Norm = "linf" if seed % 4 == 3 else "l2"
        for arithmetic in ("real", "float32"):
            for method, one in (("global", trial), ("crown", local_trial)):
                try:
                    tally = one(seed, norm, arithmetic, options.rows)
                except Unsupported as error:
                    refused += 1
                    print(f"seed {seed}: {error.what}", file=sys.stderr)
                    continue
                trials += 1
                key = (method, norm, arithmetic)
                totals[key] = totals.get(key, NOTHING).plus(tally)
                if tally.broken:
                    print(f"FALSE CERTIFICATE: seed {seed}, {method}, {norm}, {arithmetic}: {tally.broken} points")
        seed += 1
    print(f"{trials} trials from seed {options.seed}, {refused} refused\n")
    print("| method, norm, arithmetic | certified rows | points tried inside | broken | closest miss |")
    print("|---|---|---|---|---|")
    for (method, kind, arithmetic), tally in sorted(totals.items()):
        counts = f"{tally.certified:,} | {tally.attacks:,} | {tally.broken} | {tally.closest:.4g}"
        print(f"| {method}, {kind}, {arithmetic} | {counts} |")
    return int(any(tally.broken for tally in totals.values()))


if __name__ == "__main__":
    sys.exit(main())
