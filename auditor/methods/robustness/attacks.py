"""Attacks on robustness: ascents of several losses from several starts, every success confirmed in float64.

An attack shows that a set F^k of leading classes is not stable (k = 1: that the prediction is not). It never shows the
opposite: that nothing was found is a fact about the attack.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from auditor.methods.robustness.arithmetic import plain_convolutions
from auditor.methods.robustness.ascent import climb, march
from auditor.methods.robustness.ball import FLAT, Ball, length, per_row
from auditor.methods.robustness.squares import roam
from auditor.terms import Norm

BISECTIONS = 12
"""Halvings of the way from x to a point found, in float32; only its two ends are confirmed."""

NEARLY = 1e-6
"""A miss in float32 by less than this share of the logits is tried in float64."""

SATURATED = 10.0
"""The lead at x to which larger ones are scaled down: beyond it float32 makes a flat 0 of −log p."""

QUERIES = 20
"""Evaluations in place of a gradient where there is none."""

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logits, F^k(x) as a mask, outsiders by falling logit at x) -> what to ascend [rows]."""


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
    targets: int = 3,
    step: float | None = None,
    box: tuple[float, float] | None = None,
    seed: int = 0,
    rows: Tensor | None = None,
    rivals: Tensor | None = None,
    batch_size: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Adversarial:
    """Looks for points within `epsilon` of each of `inputs` (float32, within `box`) whose k highest classes are
    others.

    `restarts` ascents: the first, from x, of the margin of the best class outside F^k(x) over the worst inside; then,
    from anywhere in the ball, of −log p(F^k) and of that margin in turn. Then the margin of each of the `targets`
    highest classes outside over the worst inside. Each takes at most `steps` gradients; steps adapt (`ascent.climb`),
    or have length `step` · epsilon where that is given. Rows whose gradient was zero wherever an ascent went are
    searched without, by `QUERIES` · `steps` evaluations (`squares.roam`). What is found is drawn towards x by bisection
    and confirmed by a float64 forward pass; rows that fell are attacked no further. `rows` number the inputs, so that
    the random starts of a row do not depend on its batch. `rivals` [rows, classes] says which classes may enter F^k at
    all, where that is known (`radii.possible_rivals`): no ascent goes for another. Parameters of `model` should not
    require gradients.
    """
    double = copy.deepcopy(model).double()
    numbers = torch.arange(len(inputs)) if rows is None else rows
    parts = []
    for start in range(0, len(inputs), batch_size):
        part = slice(start, start + batch_size)
        search = _Search(
            model, double, Ball(inputs[part], epsilon, norm, box), k, None if rivals is None else rivals[part]
        )
        losses = _losses(restarts, min(targets, search.outsiders.shape[1]))
        for place, (loss, asked) in enumerate(losses):
            search.ascend(place, loss, asked, numbers[part], seed, steps, step)
            if progress is not None:
                done = start * len(losses) + (place + 1) * len(inputs[part])
                progress(done, len(inputs) * len(losses))
        search.roam(numbers[part], seed, QUERIES * steps)
        parts.append(search.result())
    if not parts:
        empty = torch.empty(0)
        return Adversarial(empty.bool(), empty.double(), empty.long(), inputs[:0])
    return Adversarial(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _losses(restarts: int, targets: int) -> list[tuple[Loss, int]]:
    """What each ascent of an attack goes for, and how many rivals a row must have for it to be of use. Next to the
    first, the nearest rivals succeed most often.
    """
    towards = [(partial(_lead_of, rank=rank), rank + 1) for rank in range(targets)]
    first, *others = [(_surprise if place % 2 else _lead, 1) for place in range(restarts)]
    return [first, *towards, *others]


class _Search:
    """The state of an attack on one batch: which rows still stand, and the nearest point found for those that fell."""

    def __init__(self, model: nn.Module, double: nn.Module, ball: Ball, k: int, rivals: Tensor | None) -> None:
        self.model, self.double, self.ball, self.k = model, double, ball, k
        inputs = ball.origin
        logits = self._exact(inputs)
        order = logits.argsort(dim=1, descending=True, stable=True)
        self.leading, self.outsiders = top_set(logits, k), order[:, k:]
        self.predicted = order[:, 0]
        lead = -_lead(logits, self.leading, self.outsiders)
        self.scale = (SATURATED / lead).clamp_max(1.0).nan_to_num(1.0).to(inputs.dtype)
        self.rivals = torch.full_like(self.predicted, logits.shape[1])
        if rivals is not None:
            wanted = rivals.to(order.device).gather(1, self.outsiders)
            # Those that may enter F^k first, in their order.
            self.outsiders = self.outsiders.gather(1, wanted.int().argsort(dim=1, descending=True, stable=True))
            self.rivals = wanted.sum(1)
        self.distance = torch.full((len(inputs),), torch.inf, dtype=torch.float64, device=inputs.device)
        self.found = inputs.clone()
        # No ascent has met a gradient that is not zero.
        self.blind = torch.ones(len(inputs), dtype=torch.bool, device=inputs.device)

    def ascend(
        self, place: int, loss: Loss, asked: int, rows: Tensor, seed: int, steps: int, step: float | None
    ) -> None:
        """One ascent of `loss` by all rows that still stand and have as many rivals as `asked`, the first from x, later
        ones from random points.
        """
        standing = (self.distance.isinf() & (self.rivals >= asked)).nonzero().flatten()
        if not len(standing):
            return
        ball = self.ball.of(standing)
        noise = ball.random(rows[standing.to(rows.device)].tolist(), seed, place)
        start = torch.zeros_like(noise) if place == 0 else noise
        slope = partial(self._slope, loss)
        if step is None:
            climb(self.ball, standing, start, slope, steps=steps, spare=noise)
        else:
            march(self.ball, standing, start, slope, steps=steps, step=step, spare=noise)

    def roam(self, rows: Tensor, seed: int, queries: int) -> None:
        """A search without gradients by the rows that still stand, could fall, and have seen none."""
        lost = (self.blind & self.distance.isinf() & (self.rivals > 0)).nonzero().flatten()
        if len(lost):
            roam(self.ball, lost, rows[lost.to(rows.device)].tolist(), seed, self._height, queries=queries)

    def _slope(self, loss: Loss, rows: Tensor, delta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Loss and gradient at x + δ, and which rows still stand."""
        points = self.ball.of(rows).points(delta).requires_grad_()
        gradient = None
        with torch.enable_grad():
            logits = self.model(points)
            risen = loss(logits * self.scale[rows, None], self.leading[rows], self.outsiders[rows])
            if risen.requires_grad:
                (gradient,) = torch.autograd.grad(risen.sum(), points, allow_unused=True)
        gradient = torch.zeros_like(points) if gradient is None else gradient
        blind = rows[self.blind[rows]]
        if len(blind):
            steep = gradient[self.blind[rows]].nan_to_num(0.0, 0.0, 0.0).flatten(1).abs().amax(1) > FLAT
            self.blind[blind[steep]] = False
        standing = self._standing(rows, points.detach(), logits.detach())
        return risen.detach().nan_to_num(-torch.inf), gradient, standing

    def _height(self, rows: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
        """By how much the best class outside leads at x + δ, and which rows still stand."""
        points = self.ball.of(rows).points(delta)
        with torch.no_grad():
            logits = self.model(points)
        lead = _lead(logits, self.leading[rows], self.outsiders[rows])
        return lead.nan_to_num(-torch.inf), self._standing(rows, points, logits)

    def _standing(self, rows: Tensor, points: Tensor, logits: Tensor) -> Tensor:
        """Which rows still stand at `points`; those that fall are confirmed and recorded."""
        hits = _lead(logits, self.leading[rows], self.outsiders[rows]) >= -NEARLY * logits.abs().amax(1)
        standing = torch.ones_like(hits)
        if bool(hits.any()):
            standing[hits] = ~self._confirm(rows[hits], points[hits])
        return standing

    def _confirm(self, rows: Tensor, points: Tensor) -> Tensor:
        """Which of `points` really change F^k within the ball, in float64; records them, drawn towards their inputs."""
        fell = self._try(rows, points)
        rows, points = rows[fell], points[fell]
        if len(rows):
            origin, leading = self.ball.origin[rows], self.leading[rows]
            near, far = points.new_zeros(len(rows)), points.new_ones(len(rows))
            for _ in range(BISECTIONS):
                middle = (near + far) / 2
                with torch.no_grad():
                    logits = self.model(origin + per_row(middle, origin) * (points - origin))
                hit = (top_set(logits, self.k) != leading).any(1)
                near, far = torch.where(hit, near, middle), torch.where(hit, middle, far)
            self._try(rows, origin + per_row(far, origin) * (points - origin))
        return fell

    def _try(self, rows: Tensor, points: Tensor) -> Tensor:
        distance = length(points.double() - self.ball.origin[rows].double(), self.ball.norm)
        logits = self._exact(points)
        hit = (top_set(logits, self.k) != self.leading[rows]).any(1) & (distance <= self.ball.epsilon)
        hit &= logits.isfinite().all(1)
        if self.ball.box is not None:
            hit &= (points == points.clamp(*self.ball.box)).flatten(1).all(1)
        nearer = hit & (distance < self.distance[rows])
        where = rows[nearer]
        self.distance[where], self.found[where] = distance[nearer], points[nearer]
        self.predicted[where] = logits.argmax(1)[nearer]
        return hit

    def _exact(self, points: Tensor) -> Tensor:
        """Logits in float64, as certificates take them."""
        with torch.no_grad(), plain_convolutions():
            return self.double(points.double())

    def result(self) -> Adversarial:
        fell = self.distance.isfinite()
        return Adversarial(fell.cpu(), self.distance.cpu(), self.predicted.cpu(), self.found[fell].cpu())


def top_set(logits: Tensor, k: int) -> Tensor:
    """F^k as a mask [rows, classes]: the k highest logits, of equal ones those of the lowest index."""
    leaders = logits.argsort(dim=1, descending=True, stable=True)[:, :k]
    return torch.zeros_like(logits, dtype=torch.bool).scatter_(1, leaders, value=True)


def _lead(logits: Tensor, leading: Tensor, outsiders: Tensor) -> Tensor:
    """By how much the best class outside F^k(x) leads the worst inside; positive once F^k has changed."""
    return _only(logits, ~leading).amax(1) - _worst(logits, leading)


def _lead_of(logits: Tensor, leading: Tensor, outsiders: Tensor, *, rank: int) -> Tensor:
    """The same for one class outside, by its rank among them at x."""
    return logits.gather(1, outsiders[:, rank : rank + 1])[:, 0] - _worst(logits, leading)


def _surprise(logits: Tensor, leading: Tensor, outsiders: Tensor) -> Tensor:
    """−log p(F^k(x))."""
    return logits.logsumexp(1) - _only(logits, leading).logsumexp(1)


def _only(logits: Tensor, kept: Tensor) -> Tensor:
    return logits.masked_fill(~kept, -torch.inf)


def _worst(logits: Tensor, leading: Tensor) -> Tensor:
    return logits.masked_fill(~leading, torch.inf).amin(1)
