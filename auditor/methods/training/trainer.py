"""The training loop: a generator that yields one state per epoch and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from auditor.methods.training.augmentation import augmented
from auditor.methods.training.layers import orthogonal_
from auditor.methods.training.objectives import Cost, Objective, objective_of
from auditor.methods.training.recipe import Adam, Recipe
from auditor.tensors import Inputs, Labels


class Epoch(NamedTuple):
    """One finished epoch: means over its batches, each batch as it was met.

    `robust` is the share of rows right within `epsilon` as far as training can tell: verified by estimated constants
    under GloRo, right at the worst point found under Pgd. `lipschitz` is the estimated largest K_ji. None where the
    objective has none, and during warm-up. `state` is all that `train` needs to go on from here, tensors and plain
    values alone; it shares memory with the training, so save it before the next epoch.
    """

    number: int
    epochs: int
    loss: float
    accuracy: float
    rate: float
    epsilon: float | None
    robust: float | None
    lipschitz: float | None
    state: Mapping[str, Any]


def train(
    model: nn.Module,
    inputs: Inputs,
    labels: Labels,
    recipe: Recipe,
    *,
    generator: torch.Generator,
    state: Mapping[str, Any] | None = None,
) -> Iterator[Epoch]:
    """Trains `model` in place by `recipe`, yielding after each epoch; in eval mode whenever it yields.

    Inputs, labels and model share a device; `generator` lives on the CPU and decides everything that is drawn: the
    first power iterates, the order of rows, augmentation, dropout. So equal seeds on one device give equal weights, and
    so does a training that goes on from the `state` of an earlier one's epoch. Initialisation by the recipe happens
    here too (`default` keeps the weights as they come). Raises Unsupported for a layer GloRo knows no norm of.
    """
    if recipe.initialization == "orthogonal" and state is None:
        orthogonal_(model, generator=generator)
    objective = objective_of(recipe, model, inputs, generator)
    plain = Objective(model, lowered=objective.lowered)
    optimizer = _optimizer(model, recipe)
    finished = 0
    if state is not None:
        finished = state["finished"]
        model.load_state_dict(state["model"])
        objective.load_state_dict(state["objective"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
        model.eval()
    for number in range(finished, recipe.epochs):
        model.train()
        now = plain if number < recipe.warm_up else objective
        with _drawing_from(generator, inputs.device):
            tally, rate = _epoch(now, optimizer, inputs, labels, recipe, number, generator)
        model.eval()
        state = {
            "finished": number + 1,
            "model": model.state_dict(),
            "objective": objective.state_dict(),
            "optimizer": optimizer.state_dict(),
            "generator": generator.get_state(),
        }
        yield Epoch(number + 1, recipe.epochs, *tally.shares(len(inputs), rate), state=state)


class _Tally:
    """Sums over the batches of an epoch, kept on the device so that no batch waits for the one before."""

    def __init__(self) -> None:
        self.loss: Tensor | float = 0.0
        self.correct: Tensor | int = 0
        self.robust: Tensor | int = 0
        self.last: Cost | None = None

    def add(self, cost: Cost) -> None:
        self.loss = self.loss + cost.loss.detach().double() * len(cost.correct)
        self.correct = self.correct + cost.correct.sum()
        if cost.robust is not None:
            self.robust = self.robust + cost.robust.sum()
        self.last = cost._replace(loss=cost.loss.detach())

    def shares(self, rows: int, rate: float) -> tuple[float, float, float, float | None, float | None, float | None]:
        """Loss, accuracy, rate, epsilon, robust and lipschitz as `Epoch` has them."""
        assert self.last is not None
        robust = None if self.last.robust is None else float(self.robust) / rows
        lipschitz = None if self.last.lipschitz is None else float(self.last.lipschitz)
        return float(self.loss) / rows, float(self.correct) / rows, rate, self.last.epsilon, robust, lipschitz


def _epoch(
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    inputs: Tensor,
    labels: Tensor,
    recipe: Recipe,
    number: int,
    generator: torch.Generator,
) -> tuple[_Tally, float]:
    """One pass over the rows in random order; also the last learning rate."""
    tally, rate = _Tally(), 0.0
    batches = _batches(torch.randperm(len(inputs), generator=generator), recipe.batch_size)
    for place, chosen in enumerate(batches):
        fraction = (number + place / len(batches)) / max(recipe.epochs - 1 / len(batches), 1e-9)
        rate = recipe.optimizer.rate.at(fraction)
        for group in optimizer.param_groups:
            group["lr"] = rate
        here = chosen.to(inputs.device)
        x, y = inputs[here], labels[here]
        if recipe.augmentation is not None:
            x = augmented(x, recipe.augmentation, generator=generator)
        cost = objective(x, y, fraction)
        optimizer.zero_grad(set_to_none=True)
        cost.loss.backward()
        optimizer.step()
        tally.add(cost)
    return tally, rate


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """`order` in parts of `size`; a single row left over joins the part before, since it has no batch statistics."""
    parts = list(order.split(size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


@contextmanager
def _drawing_from(generator: torch.Generator, device: torch.device) -> Iterator[None]:
    """Within it torch's own generators, which dropout draws from, follow `generator`; then they are as they were."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    choice = recipe.optimizer
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if isinstance(choice, Adam):
        return torch.optim.Adam(trained, lr=choice.rate.at(0.0), weight_decay=choice.weight_decay)
    return torch.optim.SGD(
        trained,
        lr=choice.rate.at(0.0),
        momentum=choice.momentum,
        nesterov=choice.nesterov,
        weight_decay=choice.weight_decay,
    )
