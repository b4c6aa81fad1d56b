"""What a batch costs under each objective, and how many of its rows keep their label as far as training can tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.methods.robustness.set_margins import set_margins
from auditor.methods.training.adversarial import worst_points
from auditor.methods.training.gloro_loss import bottom_logit, gloro_cross_entropy, gloro_trades, verified
from auditor.methods.training.lipschitz_estimate import LipschitzEstimate
from auditor.methods.training.recipe import GloRo, Pgd, Recipe
from auditor.tensors import Inputs, Labels, Logits

POWER_ITERATIONS = 2
"""Per batch (thesis B.5)."""

FIRST_ITERATIONS = 100
"""Before the first batch, when the iterates are random still."""


class Cost(NamedTuple):
    """`loss` of a batch, a scalar; `correct` [batch], whether each row was predicted right; `robust` [batch], whether
    it seems to stay so within `epsilon`; `lipschitz`, the largest estimated K_ji. None where the objective has none.
    """

    loss: Tensor
    correct: Tensor
    epsilon: float | None = None
    robust: Tensor | None = None
    lipschitz: Tensor | None = None


class Objective(nn.Module):
    """Cross-entropy, and what every objective is: inputs, labels and the fraction of the run that has passed to a Cost.

    Its state dict is what it carries from batch to batch, the model apart. With `lowered` the model's layers compute in
    bfloat16; logits are as precise as the inputs from there on.
    """

    def __init__(self, model: nn.Module, *, lowered: bool = False) -> None:
        super().__init__()
        self._model, self.lowered = [model], lowered

    @property
    def model(self) -> nn.Module:
        return self._model[0]

    def logits(self, x: Inputs) -> Logits:
        if not self.lowered:
            return self.model(x)
        with torch.autocast(x.device.type, torch.bfloat16):
            return self.model(x).to(x.dtype)

    def forward(self, x: Inputs, y: Labels, fraction: float) -> Cost:
        logits = self.logits(x)
        return Cost(functional.cross_entropy(logits, y), _correct(logits, y))


class GloRoObjective(Objective):
    """The GloRo losses. Robust is what the estimated constants verify, under the guarantee: VRA as far as training sees
    it, somewhat above what proved constants give.
    """

    def __init__(
        self,
        model: nn.Module,
        stated: GloRo,
        input_shape: tuple[int, ...],
        generator: torch.Generator,
        *,
        lowered: bool = False,
    ) -> None:
        super().__init__(model, lowered=lowered)
        self.stated = stated
        self.estimate = LipschitzEstimate(model, input_shape, generator, stated.norm)
        with torch.no_grad():
            self.estimate(FIRST_ITERATIONS)

    def forward(self, x: Inputs, y: Labels, fraction: float) -> Cost:
        stated = self.stated
        logits, constants, epsilon = self.logits(x), self.estimate(POWER_ITERATIONS), stated.epsilon.at(fraction)
        margins = set_margins(logits, constants, epsilon, stated.guarantee)
        bottom = bottom_logit(logits, margins)
        if stated.trades is None:
            loss = gloro_cross_entropy(logits, y, bottom)
        else:
            loss = gloro_trades(logits, y, bottom, stated.trades.at(fraction))
        return Cost(loss, _correct(logits, y), epsilon, verified(margins, y), constants.detach().max())


class PgdObjective(Objective):
    """Cross-entropy at the worst points found. Robust is what is right there.

    The ascent runs in evaluation mode: it attacks the network as it will be deployed, and leaves the running statistics
    of batch normalisation to the one pass that follows.
    """

    def __init__(
        self, model: nn.Module, stated: Pgd, generator: torch.Generator, device: torch.device, *, lowered: bool = False
    ) -> None:
        super().__init__(model, lowered=lowered)
        self.stated = stated
        self.draws, self.device = generator, device

    def forward(self, x: Inputs, y: Labels, fraction: float) -> Cost:
        stated, epsilon = self.stated, self.stated.epsilon.at(fraction)
        seed = int(torch.randint(2**62, (), generator=self.draws))
        with evaluating(self.model):
            with torch.no_grad():
                correct = _correct(self.logits(x), y)
            points = worst_points(
                self.logits, x, y, epsilon=epsilon, norm=stated.norm, steps=stated.steps, box=stated.box,
                generator=torch.Generator(self.device).manual_seed(seed),
            )  # fmt: skip
        logits = self.logits(points)
        return Cost(functional.cross_entropy(logits, y), correct, epsilon, _correct(logits, y))


def objective_of(recipe: Recipe, model: nn.Module, inputs: Inputs, generator: torch.Generator) -> Objective:
    """The objective that a recipe states, for `model`. Raises Unsupported for a layer GloRo knows no norm of."""
    stated, lowered = recipe.objective, recipe.precision == "bfloat16"
    if isinstance(stated, GloRo):
        return GloRoObjective(model, stated, tuple(inputs.shape[1:]), generator, lowered=lowered)
    if isinstance(stated, Pgd):
        return PgdObjective(model, stated, generator, inputs.device, lowered=lowered)
    return Objective(model, lowered=lowered)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode within, then training mode again."""
    model.eval()
    try:
        yield
    finally:
        model.train()


def _correct(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.detach().argmax(dim=1) == labels
