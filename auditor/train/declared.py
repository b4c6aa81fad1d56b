"""From the spec's `training` section to the recipe that the trainer takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.errors import NotAvailable, UsageError

if TYPE_CHECKING:
    from auditor.methods.training import CrossEntropy, GloRo, Recipe, Schedule
    from auditor.spec.document import Document


def declared_recipe(document: Document, epochs: int | None) -> Recipe:
    """The spec's `training` as the trainer takes it. Raises UsageError where there is none, NotAvailable for more."""
    from auditor.methods.training import Adam, CrossEntropy, GloRo, Recipe, Sgd
    from auditor.spec import training as written
    from auditor.terms import Standard

    section = document.training
    if section is None:
        raise UsageError(f"{document.path} has no `training` section", remedy="state objective, optimizer and epochs")
    missing = ["decision: lowest"] if document.model.decision == "lowest" else []
    missing += [name for name in ("recipe", "privacy") if getattr(section, name) is not None]
    missing += [name for name in ("augment", "transforms") if getattr(section, name)]
    stated = section.objective
    if isinstance(stated, written.PgdTraining):
        missing.append("objective: pgd")
    if isinstance(stated, written.GloRoTraining):
        if not isinstance(stated.guarantee, Standard):
            missing.append("a guarantee other than standard")
        if stated.norm != "l2":
            missing.append(f"norm: {stated.norm}")
        if document.model.normalize is not None:
            missing.append("objective: gloro with model.normalize")
    if missing:
        raise NotAvailable(
            f"training asks for what this version cannot do yet: {', '.join(missing)}",
            remedy="leave it out, or train with a program of your own and audit its weights",
        )
    objective: CrossEntropy | GloRo = CrossEntropy()
    if isinstance(stated, written.GloRoTraining):
        trades = stated.loss.weight if isinstance(stated.loss, written.Trades) else None
        objective = GloRo(_schedule(stated.epsilon), None if trades is None else _schedule(trades))
    chosen = section.optimizer
    rate = _schedule(chosen.lr, shape="exponential")
    optimizer = (
        Adam(rate, chosen.weight_decay)
        if isinstance(chosen, written.Adam)
        else Sgd(rate, chosen.momentum, chosen.nesterov, chosen.weight_decay)
    )
    count = epochs or section.epochs
    assert count is not None
    return Recipe(count, section.batch_size, objective, optimizer, section.warm_up, section.initialization)


def _schedule(number: Any, shape: str = "linear") -> Schedule:
    from auditor.methods.training import Schedule

    if isinstance(number, (int, float)):
        return Schedule(float(number))
    return Schedule(number.from_, number.to, number.shape or shape, number.after, number.until)  # pyright: ignore[reportArgumentType]
