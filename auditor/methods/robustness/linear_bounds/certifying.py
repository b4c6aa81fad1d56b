"""Which sets F^k keep their classes throughout a ball, by linear bounds on the margins over it.

F^k of a row is constant within the ball if f_j − f_i > 0 there for every j in F^k and i outside. The bounds hold for
the exact logits and for those that any evaluation gives, in float64 under `arithmetic: real`, in float32 or better
under `arithmetic: float32` (`relaxation`); so what is proved, the deployed network does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from auditor.errors import Unsupported
from auditor.methods.layers import Householder
from auditor.methods.robustness.arithmetic import plain_convolutions
from auditor.methods.robustness.evaluation_error import Arithmetic
from auditor.methods.robustness.graph import Network, Node
from auditor.methods.robustness.layer_error import DOUBLE, SINGLE
from auditor.methods.robustness.linear_bounds.leads import by_size, compared, leads
from auditor.methods.robustness.linear_bounds.refining import Sought, refined
from auditor.methods.robustness.linear_bounds.region import Region
from auditor.methods.robustness.linear_bounds.relaxation import ENTRIES, Relaxation, steps
from auditor.methods.robustness.operator_norms import exact_type
from auditor.methods.robustness.resampling import COPYING, UPSAMPLINGS
from auditor.terms import Norm


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
    arithmetic: Arithmetic = "real",
    seconds: float,
    progress: Callable[[int], None] | None = None,
) -> LocallyCertified:
    """Of `inputs` [rows, *shape] in the closed ball of radius `epsilon` in `norm`, on the network's device.

    `wanted` [rows, sizes], bool, says for which k the set of the first k classes of `orders` [rows, classes] is asked
    about. Under `arithmetic` float32 the network's tensors are to be ones that float32 holds, as `bound_model` checks.
    `seconds`: time for refinement a row; the first pass always completes. `progress` is told how many rows are done.
    Raises Unsupported for a layer without relaxation, or without a stated accuracy in float32.
    """
    made = steps(network)
    precision = SINGLE if arithmetic == "float32" else DOUBLE
    if precision is SINGLE:
        for node in network.nodes[1:]:
            _check_single(node)
    margin = torch.full(wanted.shape, -math.inf, dtype=torch.float64, device=inputs.device)
    exhausted = torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)
    width = max(math.prod(step.node.output_shape) for step in made)
    batch = max(1, ENTRIES // (64 * width))
    with torch.no_grad(), plain_convolutions():
        for start in range(0, len(inputs), batch):
            rows = slice(start, start + batch)
            relaxed = Relaxation(made, ball(inputs[rows].double(), epsilon, norm), precision)
            relaxed.fill()
            pairs = compared(wanted[rows], orders.shape[1])
            margin[rows] = by_size(leads(relaxed, pairs, orders[rows]), pairs, wanted[rows])
            undecided = (wanted[rows] & (margin[rows] <= 0)).any(1)
            for place, row in enumerate(range(start, start + len(undecided))):
                if seconds > 0 and bool(undecided[place]):
                    one = relaxed.of(torch.tensor([place], device=inputs.device))
                    sought = Sought(one, orders[row], wanted[row], time.monotonic() + seconds)
                    margin[row], exhausted[row] = refined(sought, margin[row])
                if progress is not None:
                    progress(row + 1)
    held = wanted & (margin > 0)
    return LocallyCertified(held, margin, exhausted & (wanted & ~held).any(1))


def _check_single(node: Node) -> None:
    """Raises Unsupported for a layer of which it is not known, entry by entry, what float32 makes of it."""
    kind = exact_type(node.layer)
    if kind is Householder or (kind in UPSAMPLINGS and node.layer.mode not in COPYING):
        raise Unsupported(
            f"{node.name}: linear bounds do not count the rounding of {kind.__name__} in float32",
            node=node.name,
            remedy="use arithmetic: real, or method: lipschitz",
        )


def ball(rows: Tensor, epsilon: float, norm: Norm) -> Region:
    return Region(rows, torch.full_like(rows, epsilon), rows, epsilon if norm == "l2" else None)
