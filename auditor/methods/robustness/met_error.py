"""The error of an evaluation as a linear form in the norms that it meets: found once for a network, read for each row.

A value met is within e of the exact one, and another evaluation within e of that, so the recursion of
`evaluation_error` runs on ‖met‖ + 2e. Every step of it is linear in the norms met and in the errors before; where
several values come together, ‖(Σ aᵢnᵢ, Σ bᵢnᵢ)‖ ≤ Σ ‖(aᵢ, bᵢ)‖ nᵢ keeps it so. What is left to do for a row is one
product of its norms with the coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import reduce

import torch
from torch import Tensor

from auditor.methods.robustness.error_steps import Step
from auditor.methods.robustness.graph import Network
from auditor.methods.robustness.layer_error import SINGLE, Line, Precision

UPWARDS = 1 + 1e-12
"""Covers the few float64 roundings of one step of the recursion, and those of a sum of up to a thousand products."""

LONG = 1 << 16
"""Entries beyond which a norm is summed in float64 whatever they are."""


class MetError:
    """‖logits − exact logits‖₂ ≤ `offset` + Σ `slopes`[i] · (the norm measured at node `places`[i]); the input is
    always among them, first.
    """

    def __init__(self, network: Network, steps: tuple[Step, ...], precision: Precision) -> None:
        wanted = {0} | {place for step in steps if step.layer.relative and step.layer.mass for place in step.inputs}
        self.places = {place: column for column, place in enumerate(sorted(wanted))}
        self.norms = [norm_line(math.prod(network.nodes[place].output_shape), precision) for place in self.places]
        form = _propagated(steps, self.places, precision)
        slopes = form[:-1] * torch.tensor([line.slope for line in self.norms], dtype=torch.float64)
        below = form[:-1] @ torch.tensor([line.offset for line in self.norms], dtype=torch.float64)
        self.slopes, self.offset = slopes * UPWARDS, float(form[-1] + below) * UPWARDS

    def at(self, measured: list[Tensor]) -> Tensor:
        """The bound for rows of these measured norms, one [rows] a place: float64 [rows], infinite on overflow."""
        slopes = self.slopes.to(measured[0].device)
        return torch.stack(measured, 1).double() @ slopes + self.offset


def _propagated(steps: tuple[Step, ...], places: Mapping[int, int], precision: Precision) -> Tensor:
    """The coefficients of the last node's error, then its constant, float64 [places + 1]."""
    units = torch.eye(len(places) + 1, dtype=torch.float64)
    errors = [torch.zeros_like(units[0])]
    for step in steps:
        # Of norms torch.hypot alone does not underflow on the way.
        before = reduce(torch.add if step.summed else torch.hypot, [errors[place] for place in step.inputs]) * UPWARDS
        layer = step.layer
        error = layer.stretch * before + precision.tiny * math.sqrt(step.entries) * units[-1]
        if layer.relative:
            within = layer.constant * units[-1]
            if layer.mass:
                within = within + layer.mass * (sum(units[places[place]] for place in step.inputs) + 2 * before)
            error = error + layer.relative * within
        errors.append(error * UPWARDS)
    return errors[-1]


def measured_norm(values: Tensor) -> Tensor:
    """About the 2-norm of each row of `values` [rows, ...]: [rows]; `norm_line` says what it may lack."""
    flat = values.flatten(1)
    wide = torch.float64 if flat.shape[1] > LONG else None
    return torch.linalg.vector_norm(flat, dim=1, dtype=wide)


def norm_line(count: int, precision: Precision) -> Line:
    """What the norm of `count` numbers is at most, in terms of the measured one.

    A sum of n squares errs by γ_(n+1) in any order, its root by a unit more; each square that underflows lacks less
    than the smallest normal number.
    """
    if precision is SINGLE and count > LONG:
        return Line(1 + 1e-9, 0.0)
    smallest = torch.finfo(precision.dtype).smallest_normal
    return Line(1 + precision.gamma(count + 4), 2 * math.sqrt(smallest) * math.sqrt(count))
