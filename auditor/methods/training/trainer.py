"""The training loop: a generator that yields one state per epoch and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from auditor.methods.training.gloro_loss import gloro_cross_entropy, gloro_trades
from auditor.methods.training.layers import orthogonal_
from auditor.methods.training.lipschitz_estimate import LipschitzEstimate
from auditor.methods.training.recipe import Adam, GloRo, Recipe
from auditor.tensors import Inputs, Labels

POWER_ITERATIONS = 2


class Epoch(NamedTuple):
    """One finished epoch: means over its batches. `lipschitz` is the estimated largest K_ji, None without GloRo."""

    number: int
    epochs: int
    loss: float
    accuracy: float
    rate: float
    epsilon: float | None
    lipschitz: float | None


def train(
    model: nn.Module, inputs: Inputs, labels: Labels, recipe: Recipe, *, generator: torch.Generator
) -> Iterator[Epoch]:
    """Trains `model` in place by `recipe`, yielding after each epoch; in eval mode whenever it yields.

    Inputs, labels and model share a device; `generator` lives on the CPU and decides the order of rows and the first
    power iterates, so equal seeds on one device give equal weights. Initialisation by the recipe happens here too
    (`default` keeps the weights as they come). Raises Unsupported for a layer GloRo training knows no norm of.
    """
    if recipe.initialization == "orthogonal":
        orthogonal_(model, generator=generator)
    objective = recipe.objective
    estimate = None
    if isinstance(objective, GloRo):
        estimate = LipschitzEstimate(model, tuple(inputs.shape[1:]), generator)
        with torch.no_grad():
            estimate(iterations=100)
    optimizer = _optimizer(model, recipe)
    rows, batch = len(inputs), recipe.batch_size
    batches = -(-rows // batch)
    for epoch in range(recipe.epochs):
        model.train()
        order = torch.randperm(rows, generator=generator).to(inputs.device)
        loss_sum = torch.zeros((), device=inputs.device)
        right = torch.zeros((), dtype=torch.int64, device=inputs.device)
        rate = epsilon = 0.0
        constants = None
        for number, chosen in enumerate(order.split(batch)):
            fraction = (epoch + number / batches) / max(recipe.epochs - 1 / batches, 1e-9)
            rate = recipe.optimizer.rate.at(fraction)
            for group in optimizer.param_groups:
                group["lr"] = rate
            x, y = inputs[chosen], labels[chosen]
            logits = model(x)
            if estimate is None or not isinstance(objective, GloRo) or epoch < recipe.warm_up:
                loss = functional.cross_entropy(logits, y)
            else:
                constants = estimate(POWER_ITERATIONS)
                epsilon = objective.epsilon.at(fraction)
                loss = _gloro(logits, y, constants, epsilon, objective, fraction)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            loss_sum += loss.detach() * len(chosen)
            right += (logits.detach().argmax(dim=1) == y).sum()
        model.eval()
        yield Epoch(
            number=epoch + 1,
            epochs=recipe.epochs,
            loss=float(loss_sum) / rows,
            accuracy=float(right) / rows,
            rate=rate,
            epsilon=epsilon if estimate is not None else None,
            lipschitz=None if constants is None else float(constants.detach().max()),
        )


def _gloro(logits: Tensor, y: Tensor, constants: Tensor, epsilon: float, objective: GloRo, fraction: float) -> Tensor:
    if objective.trades is None:
        return gloro_cross_entropy(logits, y, constants, epsilon)
    return gloro_trades(logits, y, constants, epsilon, objective.trades.at(fraction))


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    choice = recipe.optimizer
    if isinstance(choice, Adam):
        return torch.optim.Adam(model.parameters(), lr=choice.rate.at(0.0), weight_decay=choice.weight_decay)
    return torch.optim.SGD(
        model.parameters(),
        lr=choice.rate.at(0.0),
        momentum=choice.momentum,
        nesterov=choice.nesterov,
        weight_decay=choice.weight_decay,
    )
