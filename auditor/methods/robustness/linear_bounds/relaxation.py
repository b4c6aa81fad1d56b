"""Linear bounds of a network over a region, by backward substitution (CROWN, Zhang et al. 2018; Xu et al. 2020).

A·z of some node's value z is followed back to the input: through an affine node A·(Wz + b) = (AW)·z + A·b, through an
activation A·φ(z) ≥ A·(s·z + t) with the lower line where A ≥ 0 and the upper one elsewhere. At the input A·x is at
least A·c − Σ|A|r on a box, and A·c − ε‖A‖₂ on a ball.

Rounding, which others do not count. The computed coefficients Â are taken as they are, and each step is charged for
what it missed: |ÂW − fl(ÂW)| ≤ γ_n|Â||W| entrywise, so that the step changes the value of the whole expression by at
most γ_n·|Â|·(|W|·m + |b|), where m ≥ |z| everywhere in the region, from its interval. `mass` holds |W|m + |b|, and
|s|m + |t| of activations, so that a step costs one inner product; n counts too the additions that each term goes
through. Sums of several paths into one node are charged 2u·|Â|·m. Charges are themselves rounded: `SLACK`. And
underflow costs at most `TINY`·Σm. Nothing is assumed of what torch does but `affine`'s and `layer_error`'s claims.

What is bounded is the exact value and every value that an evaluation in `precision`, float64 or float32, may give: one
whose ẑ = Wẑ' + b + δ, |δ| ≤ γ_n(|W||ẑ'| + |b|) + underflow at each node, in its own unit roundoff. Followed back, δ
costs |Â|·δ, with intervals that hold for ẑ too; so a lead proved is positive as any such evaluation computes it.
"""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor

from auditor.errors import Unsupported
from auditor.methods.robustness.graph import Network, Node
from auditor.methods.robustness.layer_error import DOUBLE, Precision
from auditor.methods.robustness.linear_bounds.affine import Affine, affine
from auditor.methods.robustness.linear_bounds.curvature import Shape, shape
from auditor.methods.robustness.linear_bounds.lines import TINY, Graph, Lines, graph
from auditor.methods.robustness.linear_bounds.lowering import lowered
from auditor.methods.robustness.linear_bounds.region import SLACK, Region, inner
from auditor.methods.robustness.rounding import UNIT, gamma

ENTRIES = 1 << 20
"""Coefficients held at once for one node: 8 MiB, near what a cache holds."""


class Step(NamedTuple):
    """One node: either affine, with its value at zero, or an activation of a known shape."""

    node: Node
    affine: Affine | None
    offset: Tensor | None
    shape: Shape | None


def steps(network: Network) -> tuple[Step, ...]:
    """The network made ready. Raises Unsupported, naming the node, for a layer that has no relaxation."""
    nodes = lowered(network).nodes
    found = [Step(nodes[0], None, None, None)]
    for node in nodes[1:]:
        before = tuple(nodes[each].output_shape for each in node.inputs)
        known = affine(node, before)
        if known is not None:
            with torch.no_grad():
                offset = known.value(*(_zeros(node, each) for each in before))
            found.append(Step(node, known, offset, None))
            continue
        bent = shape(node.layer)
        if bent is None:
            raise Unsupported(
                f"{node.name} ({type(node.layer).__name__}): no linear relaxation of it is known",
                node=node.name,
                remedy="use `method: lipschitz` or `method: smoothing`, or replace the layer",
            )
        found.append(Step(node, None, None, bent))
    return tuple(found)


def _zeros(node: Node, shape: tuple[int, ...]) -> Tensor:
    tensors = (*node.layer.parameters(), *node.layer.buffers())
    return torch.zeros(1, *shape, dtype=torch.float64, device=tensors[0].device if tensors else None)


class Relaxation:
    """Bounds on every node of a network over a region of each row, and the lines of its activations.

    `low` and `high` [rows, *shape] of each node hold everywhere in the region; `graphs` and `lines` are those of the
    activations. Evaluations in `precision` are spoken of too.
    """

    def __init__(self, network: tuple[Step, ...], region: Region, precision: Precision = DOUBLE) -> None:
        self.steps, self.region, self.precision = network, region, precision
        count = len(network)
        radius = region.radius
        self.low, self.high = [region.centre - radius], [region.centre + radius]
        self.low[0] = self.low[0] - 2 * UNIT * (region.centre.abs() + radius)
        self.high[0] = self.high[0] + 2 * UNIT * (region.centre.abs() + radius)
        self.lines: list[Lines | None] = [None] * count
        self.graphs: list[Graph | None] = [None] * count
        self.mass: list[Tensor | None] = [None] * count
        self.sizes = [self._size(0)]

    def of(self, rows: Tensor) -> Relaxation:
        """The same of some of the rows, or of some several times."""
        found = copy.copy(self)
        found.region = self.region.of(rows)
        found.low, found.high, found.sizes = (
            [each[rows] for each in kept] for kept in (self.low, self.high, self.sizes)
        )
        found.mass = [None if each is None else each[rows] for each in self.mass]
        found.lines = [None if each is None else Lines(*(part[rows] for part in each)) for each in self.lines]
        found.graphs = [None if each is None else Graph(*(part[:, rows] for part in each)) for each in self.graphs]
        return found

    def run(self, inputs: Tensor) -> Tensor:
        """The logits that float64 gives, differentiably."""
        values = [inputs]
        for step in self.steps[1:]:
            taken = [values[each] for each in step.node.inputs]
            layer = step.affine.value if step.affine is not None else step.node.layer
            values.append(layer(*(each.clone() for each in taken)))
        return values[-1]

    def magnitude(self, place: int) -> Tensor:
        return torch.maximum(self.low[place].abs(), self.high[place].abs())

    def _size(self, place: int) -> Tensor:
        """Σm of a node [rows, 1]."""
        return self.magnitude(place).flatten(1).sum(1, keepdim=True)

    def fill(self, *, tighten: bool = True) -> None:
        """Every node in order: intervals, and where an activation follows backward bounds on what it takes."""
        with torch.no_grad():
            for place in range(1, len(self.steps)):
                step = self.steps[place]
                if step.affine is not None:
                    self._interval(place, step.affine)
                else:
                    if tighten:
                        self._tighten(step.node.inputs[0], step)
                    self._relax(place, step)
                self.sizes.append(self._size(place))

    def _interval(self, place: int, layer: Affine) -> None:
        """[W c + b ± |W|r], with c and r of the inputs' intervals."""
        before = self.steps[place].node.inputs
        centres = [self.low[each] / 2 + self.high[each] / 2 for each in before]
        radii = [
            torch.maximum(self.high[each] - centre, centre - self.low[each]) * (1 + 4 * UNIT) + 2.0**-1000
            for each, centre in zip(before, centres, strict=True)
        ]
        magnitudes = [self.magnitude(each) for each in before]
        value = layer.value(*centres)
        mass = layer.mass(*magnitudes)
        mass = torch.where(mass <= self.precision.largest, mass, math.inf)
        spread = layer.absolute(*radii) - layer.absolute(*(torch.zeros_like(each) for each in radii))
        spread = spread + (8 * gamma(layer.terms + 8) + self._evaluated(layer)) * mass
        spread = spread * SLACK + TINY + self.precision.tiny
        self.mass[place] = mass
        self.low.append(value - spread)
        self.high.append(value + spread)

    def _evaluated(self, layer: Affine) -> float:
        """What γ an evaluation of the layer loses."""
        return 0.0 if layer.moves else self.precision.gamma(layer.terms)

    def _relax(self, place: int, step: Step) -> None:
        assert step.shape is not None
        source = step.node.inputs[0]
        drawn = graph(step.node, step.shape, self.low[source], self.high[source], self.precision)
        lines = drawn.lines()
        low, high = drawn.range()
        self.graphs[place] = drawn
        self.use(place, lines)
        self.low.append(low)
        self.high.append(high)

    def use(self, place: int, lines: Lines) -> None:
        """Take these lines for the activation at `place`."""
        self.lines[place] = lines
        self.mass[place] = lines.mass(self.magnitude(self.steps[place].node.inputs[0]).detach())

    def _tighten(self, source: int, step: Step) -> None:
        """Backward bounds on the entries of the node at `source` that the activation of `step` bends at."""
        assert step.shape is not None
        if source == 0:
            return
        low, high = self.low[source].flatten(1), self.high[source].flatten(1)
        bends = torch.full_like(low, bool(step.shape.curvature), dtype=torch.bool)
        for kink in step.shape.kinks:
            bends |= (low < kink) & (high > kink)
        bends &= (low < high) & low.isfinite() & high.isfinite()
        count = int(bends.sum(1).max())
        if count == 0:
            return
        chosen = bends.int().topk(count, 1).indices
        width = max(math.prod(each.node.output_shape) for each in self.steps[: source + 1])
        for part in chosen.split(max(1, ENTRIES // (2 * width * len(low))), dim=1):
            unit = torch.zeros(*part.shape, low.shape[1], dtype=low.dtype, device=low.device)
            unit.scatter_(2, part[..., None], 1.0)
            unit = unit.unflatten(2, self.low[source].shape[1:])
            below, above = self._both(source, unit)
            below = torch.where(below.isfinite(), below, -math.inf)
            above = torch.where(above.isfinite(), above, math.inf)
            low = low.scatter(1, part, torch.fmax(low.gather(1, part), below))
            high = high.scatter(1, part, torch.fmin(high.gather(1, part), above))
        # Two sound bounds on one value cannot cross but where the region is empty, or by NaN.
        self.low[source] = torch.minimum(low, high).reshape(self.low[source].shape)
        self.high[source] = torch.maximum(low, high).reshape(self.low[source].shape)
        self.sizes[source] = self._size(source)

    def least(self, place: int, coefficients: Tensor) -> Tensor:
        """Never above A·z over the region for the value z of the node at `place` and A [rows, specs, *shape]; NaN or
        infinite where nothing is known. [rows, specs]
        """
        return self.substituted(place, coefficients)[0]

    def substituted(self, place: int, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and the coefficients of the input by which it was found [rows, specs, *input]."""
        constant, charged, final = self._followed(place, coefficients)
        return self._closed(constant, charged, final), final

    def _closed(self, constant: Tensor, charged: Tensor, final: Tensor) -> Tensor:
        return constant + self.region.least(final, self._additions()) - charged * SLACK - TINY

    def _additions(self) -> int:
        """Above how many sums a term of the constant goes through."""
        return 2 * len(self.steps) + 16

    def _both(self, place: int, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """Never above the value, and never below it [rows, specs]. With no activation on the way the coefficients of
        the negative are the negative ones, to the last bit.
        """
        if any(lines is not None for lines in self.lines[: place + 1]):
            below, above = self.least(place, torch.cat((coefficients, -coefficients), 1)).chunk(2, 1)
            return below, -above
        constant, charged, final = self._followed(place, coefficients)
        return self._closed(constant, charged, final), -self._closed(-constant, charged, -final)

    def _followed(self, place: int, coefficients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The constant, the charges and the coefficients of the input."""
        held: dict[int, Tensor] = {place: coefficients}
        additions = self._additions()
        constant = coefficients.new_zeros(coefficients.shape[:2])
        charged = torch.zeros_like(constant)
        for at in range(place, 0, -1):
            current = held.pop(at, None)
            if current is None:
                continue
            step, mass = self.steps[at], self.mass[at]
            assert mass is not None
            share = 0.0 if step.affine is None else self._evaluated(step.affine)
            if step.affine is None or not step.affine.exact:
                terms = current[0, 0].numel() + additions + (step.affine.terms if step.affine is not None else 4)
                share += gamma(terms)
            if share:
                charged = charged + share * inner(current.abs(), mass)
                charged = charged + self.precision.tiny * current.abs().flatten(2).sum(2)
            if step.affine is None:
                lines = self.lines[at]
                assert lines is not None
                positive = current >= 0
                slope = torch.where(positive, lines.lower_slope[:, None], lines.upper_slope[:, None])
                offset = torch.where(positive, lines.lower_offset[:, None], lines.upper_offset[:, None])
                constant = constant + (current * offset).flatten(2).sum(2)
                before = (current * slope,)
            else:
                assert step.offset is not None
                if not step.affine.exact:
                    constant = constant + inner(current, step.offset)
                before = tuple(
                    each.unflatten(0, current.shape[:2]) for each in step.affine.adjoint(current.flatten(0, 1))
                )
            for source, new in zip(step.node.inputs, before, strict=True):
                charged = charged + TINY * self.sizes[source]
                if source in held:
                    new = held[source] + new
                    charged = charged + 2 * UNIT * inner(new.abs(), self.magnitude(source))
                held[source] = new
        final = held.get(0)
        if final is None:
            final = coefficients.new_zeros(*coefficients.shape[:2], *self.region.centre.shape[1:])
        return constant, charged, final
