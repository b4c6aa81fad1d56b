"""Perturbations of bounded norm that keep inputs inside their box: projection, directions, random points."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from auditor.terms import Norm

INSIDE = 1 - 1e-6
"""Points stay this far inside the ball, so that rounding one to float32 cannot put it outside."""

CLOSE = 1e-6
"""The projection ends where its next step would lengthen δ² by a smaller share."""

FLAT = 1e-30
"""A gradient of no larger entry says nothing."""

NEWTON = 12
"""Steps of the projection: each settles which further coordinates touch the box, and a few do."""


class Ball(NamedTuple):
    """All x + δ with ‖δ‖ ≤ `epsilon` in `norm` and x + δ within `box`, one such set for each x of `origin`."""

    origin: Tensor
    epsilon: float
    norm: Norm
    box: tuple[float, float] | None

    def of(self, rows: Tensor) -> Ball:
        """The balls around these rows alone."""
        return self._replace(origin=self.origin[rows])

    def points(self, delta: Tensor) -> Tensor:
        """x + δ, rounded into the box."""
        points = self.origin + delta
        return points if self.box is None else points.clamp(*self.box)

    def project(self, delta: Tensor) -> Tensor:
        """The nearest δ [rows, *input] of the ball, in the 2-norm.

        In ℓ∞ ball and box are intervals, and clamping is exact. In ℓ₂ the nearest δ is s·δ clamped to the box, for the
        largest s ≤ 1 within the ball.
        """
        limit = self.epsilon * INSIDE
        if self.norm == "linf":
            return self._boxed(delta.clamp(-limit, limit))
        boxed = self._boxed(delta)
        outside = (length(boxed, "l2") > limit).nonzero().flatten()
        if len(outside):
            boxed[outside] = self.of(outside)._shortened(delta[outside], limit)
        return boxed

    def _boxed(self, delta: Tensor) -> Tensor:
        if self.box is None:
            return delta.clone()
        low, high = self.box
        return torch.minimum(torch.maximum(delta, low - self.origin), high - self.origin)

    def _shortened(self, delta: Tensor, limit: float) -> Tensor:
        """The nearest δ of the ball where δ clamped to the box lies outside.

        Coordinate i touches the box at s = tᵢ, so ‖clamped s·δ‖² = Σ δᵢ² min(s², tᵢ²): concave and piecewise linear in
        s², and Newton's method climbs to its goal from below and never leaves the ball on the way.
        """
        # In units of the largest coordinate, since squares of small ones underflow.
        largest = delta.flatten(1).abs().amax(1, keepdim=True)
        unit = delta.flatten(1) / largest
        weight, goal = unit.square(), (limit / largest[:, 0]).square()
        square = goal / weight.sum(1)
        if self.box is not None:
            low, high = ((edge - self.origin).flatten(1) / largest for edge in self.box)
            # No masks over whole inputs, which take many times as long. Still coordinates touch nothing.
            touched = torch.maximum(high / unit, low / unit).square_().nan_to_num_(torch.inf, torch.inf)
            for _ in range(NEWTON):
                reached = torch.minimum(touched, square[:, None])
                missing = goal - torch.linalg.vecdot(weight, reached)
                free = torch.linalg.vecdot(weight, reached.sub_(touched).sign_().neg_())
                gained = torch.where(free > 0, missing.clamp_min(0) / free.clamp_min(1e-30), 0.0)
                square = (square + gained).clamp_max(1.0)
                if bool((gained <= CLOSE * square).all()):
                    break
        return self._boxed(per_row(square.sqrt(), delta) * delta)

    def random(self, numbers: list[int], seed: int, start: int) -> Tensor:
        """A random δ [rows, *input] within the ball, in ℓ₂ of random direction and length.

        Each row draws from a generator of its own, named by `seed`, its number and `start`, so that its draw does not
        depend on the batch.
        """
        shape = self.origin.shape[1:]
        drawn = []
        for number in numbers:
            generator = torch.Generator().manual_seed((seed * 1_000_003 + number) * 1009 + start)
            if self.norm == "linf":
                drawn.append(self.epsilon * (2 * torch.rand(shape, generator=generator) - 1))
            else:
                noise = torch.randn(shape, generator=generator)
                reach = self.epsilon * torch.rand((), generator=generator)
                drawn.append(noise * (reach / noise.norm().clamp_min(1e-30)))
        return self.project(torch.stack(drawn).to(self.origin)) if drawn else torch.zeros_like(self.origin)


def length(delta: Tensor, norm: Norm) -> Tensor:
    """‖δ‖ of each row [rows]."""
    flat = delta.flatten(1)
    largest = flat.abs().amax(1)
    if norm == "linf":
        return largest
    # In units of the largest coordinate, since squares of small ones underflow.
    return largest * (flat / largest.clamp_min(torch.finfo(flat.dtype).tiny)[:, None]).norm(dim=1)


def steepest(gradient: Tensor, norm: Norm, *, otherwise: Tensor | None = None) -> Tensor:
    """The direction of length 1 along which a function of this gradient grows fastest [rows, *input].

    Where the gradient vanishes it is that of `otherwise`, or 0 without one.
    """
    gradient = gradient.nan_to_num(0.0, 0.0, 0.0)
    largest = gradient.flatten(1).abs().amax(1)
    flat = (largest <= FLAT).nonzero().flatten()
    if otherwise is not None and len(flat):
        gradient[flat] = otherwise[flat]
        largest[flat] = otherwise[flat].flatten(1).abs().amax(1)
    if norm == "linf":
        return gradient.sign_()
    # Two steps, since the square of a small gradient underflows.
    gradient /= per_row(largest.clamp_min(1e-38), gradient)
    return gradient.div_(per_row(gradient.flatten(1).norm(dim=1).clamp_min(1e-30), gradient))


def per_row(values: Tensor, like: Tensor) -> Tensor:
    """[rows] as [rows, 1, ...], to be multiplied into a batch."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
