"""Which sets F^k keep their classes throughout a ball, by linear bounds on the margins over it.

F^k of a row is constant within the ball if f_j − f_i > 0 there for every j in F^k and i outside, in exact arithmetic.
Under `arithmetic: float32` two evaluations are compared through the exact one: at any x' of the ball the computed
logits lie within e(‖x'‖) of the exact ones in the 2-norm, so a computed lead is at least the exact lead less
√2·e(‖x'‖), and ‖x'‖ ≤ ‖x‖ + ρ, where ρ is ε, or √n·ε in the ∞-norm. `EvaluationError` speaks of two evaluations, at x
and at x', together: half of it, at ‖x‖ + ρ, bounds one. A margin proved above √2 times that is positive in float32 too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from auditor.errors import Unsupported
from auditor.methods.robustness.arithmetic import plain_convolutions
from auditor.methods.robustness.evaluation_error import EvaluationError
from auditor.methods.robustness.graph import Network
from auditor.methods.robustness.linear_bounds.leads import by_size, compared, leads
from auditor.methods.robustness.linear_bounds.refining import Sought, refined
from auditor.methods.robustness.linear_bounds.region import Region
from auditor.methods.robustness.linear_bounds.relaxation import ENTRIES, Relaxation, steps
from auditor.terms import Norm

ROOT_TWO = 1.4142135623731
"""Above √2."""


class LocallyCertified(NamedTuple):
    """`held` [rows, sizes]: proved. `margin` [rows, sizes], float64: the best lower bound proved on f_j − f_i over all
    j in F^k, i outside and x' in the ball, −∞ where not wanted or nothing is known. `exhausted` [rows]: undecided when
    the time of the row ran out, rather than nothing being left to try.
    """

    held: Tensor
    margin: Tensor
    exhausted: Tensor


def linear_problem(network: Network) -> Unsupported | None:
    """Why `network` has no linear bounds, naming the node, or None where it has."""
    try:
        steps(network)
    except Unsupported as error:
        return error
    return None


def certify_locally(
    network: Network,
    inputs: Tensor,
    epsilon: float,
    norm: Norm,
    wanted: Tensor,
    orders: Tensor,
    *,
    error: EvaluationError | None,
    seconds: float,
    progress: Callable[[int], None] | None = None,
) -> LocallyCertified:
    """Of `inputs` [rows, *shape] in the closed ball of radius `epsilon` in `norm`, on the network's device.

    `wanted` [rows, sizes], bool, says for which k the set of the first k classes of `orders` [rows, classes] is asked
    about. `error` is None for exact arithmetic, or that of `bound_model(..., arithmetic="float32")`. `seconds`: time
    for refinement a row; the first pass always completes. `progress` is told how many rows are done. Raises Unsupported
    for a layer without relaxation.
    """
    made = steps(network)
    margin = torch.full(wanted.shape, -math.inf, dtype=torch.float64, device=inputs.device)
    exhausted = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
    needed = leads_needed(inputs, epsilon, norm, error)
    width = max(math.prod(step.node.output_shape) for step in made)
    batch = max(1, ENTRIES // (64 * width))
    with torch.no_grad(), plain_convolutions():
        for start in range(0, len(inputs), batch):
            rows = slice(start, start + batch)
            relaxed = Relaxation(made, ball(inputs[rows].double(), epsilon, norm))
            relaxed.fill()
            pairs = compared(wanted[rows], orders.shape[1])
            margin[rows] = by_size(leads(relaxed, pairs, orders[rows]), pairs, wanted[rows])
            undecided = (wanted[rows] & (margin[rows] <= needed[rows, None])).any(1)
            for place, row in enumerate(range(start, start + len(undecided))):
                if seconds > 0 and bool(undecided[place]):
                    one = relaxed.of(torch.tensor([place], device=inputs.device))
                    sought = Sought(one, orders[row], wanted[row], float(needed[row]), time.monotonic() + seconds)
                    margin[row], exhausted[row] = refined(sought, margin[row])
                if progress is not None:
                    progress(row + 1)
    held = wanted & (margin > needed[:, None])
    return LocallyCertified(held, margin, exhausted & (wanted & ~held).any(1))


def leads_needed(inputs: Tensor, epsilon: float, norm: Norm, error: EvaluationError | None) -> Tensor:
    """What a margin must exceed [rows]: 0, or what float32 may take from it anywhere in the ball."""
    if error is None:
        return torch.zeros(len(inputs), dtype=torch.float64, device=inputs.device)
    flat = inputs.double().flatten(1)
    largest = flat.abs().amax(1, keepdim=True).clamp_min(1e-300)
    length = (flat / largest).norm(dim=1) * largest[:, 0]
    reach = epsilon * (1.0 if norm == "l2" else math.sqrt(flat.shape[1]))
    return ROOT_TWO / 2 * error.at((length + reach) * (1 + 1e-9)) * (1 + 1e-9)


def ball(rows: Tensor, epsilon: float, norm: Norm) -> Region:
    return Region(rows, torch.full_like(rows, epsilon), rows, epsilon if norm == "l2" else None)
