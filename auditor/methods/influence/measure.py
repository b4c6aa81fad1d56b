"""Internal Influence: χ(g∘h, q, D) = E_{x∼D}[∇_z (q∘g)(h(x))], the one measure that satisfies axioms 4.1-4.4."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from auditor.errors import Unsupported
from auditor.methods.influence import distribution as distributions
from auditor.methods.influence import quantity as quantities
from auditor.methods.influence.line import Gradients, LineMean, line_mean
from auditor.methods.influence.slices import Cut, affine_prefix, cut, identity
from auditor.tensors import Inputs, Labels
from auditor.terms import Class, Distribution, Gaussian, Linear, Point, Population, Quantity, Slice, Uniform, Units

Progress = Callable[[int, int], None]


class Explanation(NamedTuple):
    """`influence` in the units asked for. `prediction` is the class with the highest logit.

    Along a line: `difference` is q(end) - q(start), `residual` by how much the attributions miss it, relative to the
    larger of |difference| and 1 % of its spread over the rows, `steps` the trapezoids taken. Elsewhere difference and
    residual are NaN, and steps the number of points averaged.
    """

    influence: Float[Tensor, "batch *slice"]
    prediction: Int64[Tensor, " batch"]
    difference: Float[Tensor, " batch"]
    residual: Float[Tensor, " batch"]
    steps: Int64[Tensor, " batch"]


def influence(
    model: nn.Module,
    x: Inputs,
    *,
    slice: Slice = Slice(),
    quantity: Quantity = Class("predicted"),
    distribution: Distribution = Point(),
    units: Units = "influence",
    labels: Labels | None = None,
    batch_size: int = 16,
    tolerance: float = 1e-3,
    max_steps: int = 1024,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> Float[Tensor, "batch *slice"]:
    """χ of each row of `x`; `explain` says what else is known of it."""
    return explain(
        model,
        x,
        slice=slice,
        quantity=quantity,
        distribution=distribution,
        units=units,
        labels=labels,
        batch_size=batch_size,
        tolerance=tolerance,
        max_steps=max_steps,
        generator=generator,
        progress=progress,
    ).influence


def explain(
    model: nn.Module,
    x: Inputs,
    *,
    slice: Slice = Slice(),
    quantity: Quantity = Class("predicted"),
    distribution: Distribution = Point(),
    units: Units = "influence",
    labels: Labels | None = None,
    batch_size: int = 16,
    tolerance: float = 1e-3,
    max_steps: int = 1024,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> Explanation:
    """χ of each row with the residual of completeness.

    `influence` is in output per input; `attribution` multiplies by (z - z0), so that a row's sum is the difference it
    accounts for (thesis 3.1), which holds for a line that lives in the slice. Lines are integrated to `tolerance` or
    `max_steps` (see `line_mean`), sampled distributions by their own number of samples from `generator`. Holds
    `batch_size` points at a time, whatever the rows and steps. Relative L2 is the distance in which to compare with
    another implementation: memory formats reorder sums, and a sum reordered flips a ReLU now and then. On a CPU batches
    of about a quarter million input values are fastest (16 patches of 3x64x64), larger ones wait for memory.

    Raises ValueError for a question that has no answer (attribution without a baseline, labels missing, a model in
    training mode), Unsupported where the network cannot be cut at the slice.
    """
    _check(model, x, labels, slice, distribution, units)
    layer = None if isinstance(quantity, Class) else quantity.layer
    with _frozen(model):
        task = _Task(model, x, cut(model, slice, until=layer), slice, quantity, distribution, labels, batch_size)
        at_x = task.values(x)
        if isinstance(distribution, Linear):
            at_start = task.start_values(x, at_x.weights)
            difference = at_x.value - at_start
            spread = difference.std() if len(x) > 1 else difference.new_zeros(())
            rounding = 1e4 * torch.finfo(x.dtype).eps * torch.maximum(at_x.value.abs(), at_start.abs())
            scale = torch.maximum(torch.maximum(difference.abs(), 0.01 * spread), rounding)
        else:
            difference = scale = x.new_full((len(x),), torch.nan)
        results: list[LineMean] = []
        block = max(1, batch_size // 4)
        for rows in torch.arange(len(x), device=x.device).split(block):
            weights = None if at_x.weights is None else at_x.weights[rows]
            match distribution:
                case Linear():
                    result = task.along_line(
                        x[rows], rows, weights, difference[rows], scale[rows], tolerance, max_steps
                    )
                case Gaussian() | Uniform():
                    result = task.over_samples(x[rows], weights, generator)
                case _:
                    result = task.at_point(x[rows], weights)
            if units == "attribution":
                end, start = task.line(x[rows], rows)
                result = result._replace(mean=result.mean.mul_(end - start))
            results.append(result._replace(mean=_reduced(result.mean, slice)))
            if progress is not None:
                progress(int(rows[-1]) + 1, len(x))
    parts = [torch.cat(part) for part in zip(*results, strict=True)]
    return Explanation(parts[0], at_x.prediction, difference, parts[1], parts[2])


class _Values(NamedTuple):
    value: Tensor
    weights: Tensor | None
    prediction: Tensor


class _Task:
    """One question to one network: what all its rows share."""

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        cut: Cut,
        slice: Slice,
        quantity: Quantity,
        distribution: Distribution,
        labels: Labels | None,
        batch_size: int,
    ) -> None:
        self.model, self.cut, self.slice = model, cut, slice
        self.quantity, self.distribution, self.labels, self.batch_size = quantity, distribution, labels, batch_size
        self.in_slice = slice.layer is None or getattr(distribution, "at", "input") == "slice"
        straight = isinstance(distribution, Linear) and slice.layer is None and isinstance(quantity, Class)
        self.prefix = affine_prefix(model, x) if straight else Cut(identity, cut.after)

    @torch.no_grad()
    def values(self, x: Tensor) -> _Values:
        """The quantity at the inputs, which also fixes what "predicted" and "label" mean for each row."""
        parts: list[_Values] = []
        for rows in torch.arange(len(x), device=x.device).split(self.batch_size):
            logits = self.model(x[rows])
            labels = None if self.labels is None else self.labels[rows.to(self.labels.device)]
            weights = None
            if isinstance(self.quantity, Class):
                weights = quantities.functional(self.quantity, logits, labels)
            output = logits if self.cut.after is self.model else self.cut.after(self.cut.before(x[rows]))
            if not parts and weights is not None and not torch.allclose(output, logits, rtol=1e-4, atol=1e-5):
                raise Unsupported(
                    f"g(h(x)) is not f(x) at {self.slice.layer}: tracing the network lost part of what it computes",
                    node=self.slice.layer,
                    code="untraceable",
                )
            parts.append(_Values(quantities.value(self.quantity, output, weights), weights, logits.argmax(1)))
        weights = [part.weights for part in parts if part.weights is not None]
        return _Values(
            torch.cat([part.value for part in parts]),
            torch.cat(weights) if weights else None,
            torch.cat([part.prediction for part in parts]),
        )

    @torch.no_grad()
    def start_values(self, x: Tensor, weights: Tensor | None) -> Tensor:
        """The quantity where each row's line begins."""
        parts = []
        for rows in torch.arange(len(x), device=x.device).split(self.batch_size):
            _, start = self.line(x[rows], rows)
            output = self.cut.after(start if self.in_slice else self.cut.before(start))
            parts.append(quantities.value(self.quantity, output, None if weights is None else weights[rows]))
        return torch.cat(parts)

    @torch.no_grad()
    def line(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """End and start of the line of each of `rows`, which are `x`, in the space the distribution lives in."""
        assert isinstance(self.distribution, Linear)
        end = self.cut.before(x) if self.in_slice else x
        return end, distributions.baseline_of(self.distribution, end, rows)

    def along_line(
        self,
        x: Tensor,
        rows: Tensor,
        weights: Tensor | None,
        difference: Tensor,
        scale: Tensor,
        tolerance: float,
        max_steps: int,
    ) -> LineMean:
        end, start = self.line(x, rows)
        with torch.no_grad():
            first, last = self.prefix.before(start), self.prefix.before(end)

        def gradients(points: Tensor, owner: Tensor) -> Gradients:
            return self.gradients(points, None if weights is None else weights[owner], self.prefix.after)

        result = line_mean(
            gradients,
            first,
            last,
            difference=difference,
            scale=scale,
            tolerance=tolerance,
            max_steps=max_steps,
            batch_size=self.batch_size,
        )
        return result._replace(mean=_pulled_back(self.prefix.before, x, result.mean))

    def at_point(self, x: Tensor, weights: Tensor | None) -> LineMean:
        with torch.no_grad():
            points = self.cut.before(x) if self.in_slice else x
        mean = self.gradients(points, weights, self.cut.after).at_slice
        return LineMean(mean, mean.new_full((len(x),), torch.nan, dtype=torch.float64), _counts(x, 1))

    def over_samples(self, x: Tensor, weights: Tensor | None, generator: torch.Generator | None) -> LineMean:
        assert isinstance(self.distribution, (Gaussian, Uniform))
        with torch.no_grad():
            center = self.cut.before(x) if self.in_slice else x
        samples, done, mean = self.distribution.samples, 0, None
        while done < samples:
            some = min(samples - done, max(1, self.batch_size // len(x)))
            points = distributions.sample(self.distribution, center, some, generator=generator).flatten(0, 1)
            each = None if weights is None else weights.repeat_interleave(some, dim=0)
            found = self.gradients(points, each, self.cut.after).at_slice
            part = found.view(len(x), some, *found.shape[1:]).sum(1)
            mean = part if mean is None else mean.add_(part)
            done += some
        assert mean is not None
        return LineMean(
            mean.div_(samples), mean.new_full((len(x),), torch.nan, dtype=torch.float64), _counts(x, samples)
        )

    def gradients(self, points: Tensor, weights: Tensor | None, after: Callable[[Tensor], Tensor]) -> Gradients:
        """∇_z of the quantity, one backward pass for the summed scalar of all points."""
        points = points.detach().requires_grad_()
        z = points if self.in_slice else self.cut.before(points)
        total = quantities.value(self.quantity, after(z), weights).sum()
        if z is points:
            (gradient,) = torch.autograd.grad(total, points)
            return Gradients(gradient, gradient)
        at_slice, at_points = torch.autograd.grad(total, (z, points))
        return Gradients(at_slice, at_points)


def _pulled_back(before: Callable[[Tensor], Tensor], x: Tensor, gradient: Tensor) -> Tensor:
    """The gradient at the input that an affine h gives a gradient at its output."""
    if before is identity:
        return gradient
    x = x.detach().requires_grad_()
    z = before(x)
    return gradient if z is x else torch.autograd.grad(z, x, grad_outputs=gradient)[0]


def _reduced(influence: Tensor, slice: Slice) -> Tensor:
    return influence.flatten(2).mean(2) if slice.reduce == "channel_mean" and influence.ndim > 2 else influence


def _counts(x: Tensor, number: int) -> Tensor:
    return torch.full((len(x),), number, dtype=torch.int64, device=x.device)


def _check(
    model: nn.Module, x: Tensor, labels: Tensor | None, slice: Slice, distribution: Distribution, units: Units
) -> None:
    if len(x) == 0 or not x.is_floating_point():
        raise ValueError(f"expected at least one row of floats, found {tuple(x.shape)} of {x.dtype}")
    if labels is not None and len(labels) != len(x):
        raise ValueError(f"expected {len(x)} labels, one a row, found {len(labels)}")
    if isinstance(distribution, Population):
        raise ValueError("a population is data: pass its rows as x with distribution Point() and take the mean")
    if units == "attribution":
        if not isinstance(distribution, Linear):
            raise ValueError("attribution is relative to a baseline: use a Linear distribution, or units influence")
        if slice.layer is not None and distribution.at == "input":
            raise ValueError("attribution to a layer is complete only along a line in the slice: at='slice'")
    for name, module in model.named_modules():
        if module.training and isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)):
            raise ValueError(
                f"{name} is in training mode: call model.eval(), or a row's influence depends on the others"
            )


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """No gradients for parameters within the block, as they were after it."""
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in learned:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
