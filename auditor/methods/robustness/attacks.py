"""Attacks on robustness: projected gradient ascent with restarts, every success confirmed in float64.

An attack shows that a set F^k of leading classes is not stable (k = 1: that the prediction is not). It never shows the
opposite: that nothing was found is a fact about the attack.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from auditor.terms import Norm

BISECTIONS = 10
INSIDE = 1 - 1e-6
"""Attacks stay this far inside the ball, so that rounding a point to float32 cannot put it outside."""


class Adversarial(NamedTuple):
    """What an attack found, one entry a row.

    `found`: a point within epsilon has another F^k. `distance`, float64: how far the nearest such point is, infinite
    if none. `predicted`: the class the model predicts there, or at the input if none. `points`: float32, the points
    of the rows found, in order.
    """

    found: Tensor
    distance: Tensor
    predicted: Tensor
    points: Tensor


def pgd(
    model: nn.Module,
    inputs: Tensor,
    *,
    epsilon: float,
    norm: Norm = "l2",
    k: int = 1,
    steps: int = 50,
    restarts: int = 5,
    step: float | None = None,
    box: tuple[float, float] | None = None,
    seed: int = 0,
    rows: Tensor | None = None,
    batch_size: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Adversarial:
    """Looks for points within `epsilon` of each of `inputs` (float32, within `box`) whose k highest classes are
    others.

    Even restarts ascend the margin of the best class outside F^k(x) over the worst inside, odd ones −log p(F^k); the
    first starts at x, the others anywhere in the ball (Madry et al. 2018). A step has length `step` · epsilon, by
    default 2.5 / steps. What is found is drawn towards x by bisection and confirmed by a float64 forward pass. `rows`
    number the inputs, so that the random starts of a row do not depend on its batch. Parameters of `model` should not
    require gradients.
    """
    double = copy.deepcopy(model).double()
    numbers = torch.arange(len(inputs)) if rows is None else rows
    parts = []
    for start in range(0, len(inputs), batch_size):
        part = slice(start, start + batch_size)
        search = _Search(model, double, inputs[part], epsilon, norm, k, box)
        for restart in range(restarts):
            search.restart(restart, numbers[part], seed, steps, step if step is not None else 2.5 / steps)
            if progress is not None:
                done = start * restarts + (restart + 1) * len(inputs[part])
                progress(done, len(inputs) * restarts)
        parts.append(search.result())
    if not parts:
        empty = torch.empty(0)
        return Adversarial(empty.bool(), empty.double(), empty.long(), inputs[:0])
    return Adversarial(*(torch.cat(column) for column in zip(*parts, strict=True)))


class _Search:
    """The state of an attack on one batch: which rows still stand, and the nearest point found for those that fell."""

    def __init__(
        self, model: nn.Module, double: nn.Module, inputs: Tensor, epsilon: float, norm: Norm, k: int,
        box: tuple[float, float] | None,
    ) -> None:  # fmt: skip
        self.model, self.double, self.inputs = model, double, inputs
        self.epsilon, self.k, self.box = epsilon, k, box
        self.norm: Norm = norm
        with torch.no_grad():
            logits = double(inputs.double())
        self.leading = top_set(logits, k)
        self.predicted = logits.argmax(1)
        self.distance = torch.full((len(inputs),), torch.inf, dtype=torch.float64, device=inputs.device)
        self.points = inputs.clone()

    def restart(self, number: int, rows: Tensor, seed: int, steps: int, step: float) -> None:
        """One ascent of all rows that still stand."""
        active = self.distance.isinf().nonzero().flatten()
        if not len(active):
            return
        noise = self._noise(rows[active.to(rows.device)], seed, number)
        delta = torch.zeros_like(noise) if number == 0 else self._projected(noise, active)
        for _ in range(steps):
            gradient, standing = self._gradient(active, delta, margin=number % 2 == 0)
            if not bool(standing.all()):
                active, delta, gradient, noise = (each[standing] for each in (active, delta, gradient, noise))
                if not len(active):
                    return
            direction = _steepest(gradient, noise, self.norm)
            delta = self._projected(delta + step * self.epsilon * direction, active)
        self._gradient(active, delta, margin=True)

    def _gradient(self, active: Tensor, delta: Tensor, *, margin: bool) -> tuple[Tensor, Tensor]:
        """Gradient of the loss at x + δ, and which rows still stand; those that fall are confirmed and recorded."""
        points = (self.inputs[active] + delta).requires_grad_()
        with torch.enable_grad():
            logits = self.model(points)
            lead = _lead(logits, self.leading[active])
            loss = lead if margin else logits.logsumexp(1) - _masked(logits, self.leading[active]).logsumexp(1)
            (gradient,) = torch.autograd.grad(loss.sum(), points)
        # Near-misses in float32 may be hits in float64.
        hits = lead.detach() >= -1e-6 * logits.detach().abs().amax(1)
        standing = torch.ones_like(hits)
        if bool(hits.any()):
            fell = self._confirm(active[hits], points.detach()[hits])
            standing[hits] = ~fell
        return gradient.detach(), standing

    def _confirm(self, rows: Tensor, points: Tensor) -> Tensor:
        """Which of `points` really change F^k within the ball, in float64; records them, drawn towards their inputs."""
        origin = self.inputs[rows]
        fell = self._try(rows, points)
        near, far = torch.zeros(len(rows), device=points.device), torch.ones(len(rows), device=points.device)
        for _ in range(BISECTIONS if bool(fell.any()) else 0):
            middle = (near + far) / 2
            between = origin + middle.reshape(-1, *[1] * (origin.ndim - 1)) * (points - origin)
            hit = self._try(rows[fell], between[fell])
            far[fell] = torch.where(hit, middle[fell], far[fell])
            near[fell] = torch.where(hit, near[fell], middle[fell])
        return fell

    def _try(self, rows: Tensor, points: Tensor) -> Tensor:
        distance = _length(points.double() - self.inputs[rows].double(), self.norm)
        with torch.no_grad():
            logits = self.double(points.double())
        hit = (top_set(logits, self.k) != self.leading[rows]).any(1) & (distance <= self.epsilon)
        hit &= logits.isfinite().all(1)
        nearer = hit & (distance < self.distance[rows])
        where = rows[nearer]
        self.distance[where], self.points[where] = distance[nearer], points[nearer]
        self.predicted[where] = logits.argmax(1)[nearer]
        return hit

    def _projected(self, delta: Tensor, active: Tensor) -> Tensor:
        """δ brought back into the ball, and x + δ into the box (which only shortens δ)."""
        limit = self.epsilon * INSIDE
        if self.norm == "linf":
            delta = delta.clamp(-limit, limit)
        else:
            length = _length(delta, "l2").clamp_min(1e-30)
            delta = delta * (limit / length).clamp_max(1.0).reshape(-1, *[1] * (delta.ndim - 1))
        if self.box is None:
            return delta
        origin = self.inputs[active]
        return (origin + delta).clamp(*self.box) - origin

    def _noise(self, rows: Tensor, seed: int, restart: int) -> Tensor:
        """A random point of the ball for each row, from the row's own generator."""
        shape = self.inputs.shape[1:]
        drawn = []
        for row in rows.tolist():
            generator = torch.Generator().manual_seed((seed * 1_000_003 + row) * 1009 + restart)
            noise = torch.randn(shape, generator=generator)
            reach = torch.rand((), generator=generator)
            if self.norm == "linf":
                drawn.append(self.epsilon * (2 * torch.rand(shape, generator=generator) - 1))
            else:
                drawn.append(noise * (self.epsilon * reach / noise.norm().clamp_min(1e-30)))
        return torch.stack(drawn).to(self.inputs)

    def result(self) -> Adversarial:
        found = self.distance.isfinite()
        return Adversarial(found.cpu(), self.distance.cpu(), self.predicted.cpu(), self.points[found].cpu())


def top_set(logits: Tensor, k: int) -> Tensor:
    """F^k as a mask [rows, classes]: the k highest logits, of equal ones those of the lowest index."""
    leaders = logits.argsort(dim=1, descending=True, stable=True)[:, :k]
    return torch.zeros_like(logits, dtype=torch.bool).scatter_(1, leaders, value=True)


def _masked(logits: Tensor, keep: Tensor) -> Tensor:
    return logits.masked_fill(~keep, -torch.inf)


def _lead(logits: Tensor, leading: Tensor) -> Tensor:
    """By how much the best class outside leads the worst inside; positive once F^k has changed."""
    return _masked(logits, ~leading).amax(1) - logits.masked_fill(~leading, torch.inf).amin(1)


def _length(delta: Tensor, norm: Norm) -> Tensor:
    flat = delta.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


def _steepest(gradient: Tensor, noise: Tensor, norm: Norm) -> Tensor:
    """The direction of length 1 along which the loss grows fastest; a random one where the gradient vanishes."""
    gradient = torch.where(gradient.isfinite(), gradient, 0.0)
    length = gradient.flatten(1).norm(dim=1)
    flat = (length <= 1e-30).reshape(-1, *[1] * (gradient.ndim - 1))
    gradient = torch.where(flat, noise, gradient)
    if norm == "linf":
        return gradient.sign()
    # Two steps, since the square of a small gradient underflows.
    gradient = gradient / gradient.flatten(1).abs().amax(1).clamp_min(1e-38).reshape(flat.shape)
    return gradient / gradient.flatten(1).norm(dim=1).clamp_min(1e-30).reshape(flat.shape)
