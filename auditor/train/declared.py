"""From the spec's `training` section to the recipe that the trainer takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.errors import NotAvailable, UsageError

if TYPE_CHECKING:
    from auditor.methods.training import Adam, Augmentation, CrossEntropy, GloRo, Pgd, Recipe, Schedule, Sgd
    from auditor.spec.document import Document
    from auditor.spec.training import Training


def training_section(document: Document) -> Training:
    """The spec's `training`. Raises UsageError where there is none, NotAvailable for what is still to come."""
    section = document.training
    if section is None:
        raise UsageError(f"{document.path} has no `training` section", remedy="state objective, optimizer and epochs")
    missing = ["transforms"] if section.transforms else []
    if section.privacy is not None:
        missing.append("privacy")
    if missing:
        raise NotAvailable(
            f"training asks for what this version cannot do yet: {', '.join(missing)}",
            remedy="leave it out, or state `recipe: file.py:callable`, a training function of your own",
        )
    return section


def declared_recipe(document: Document, epochs: int | None = None) -> Recipe:
    """The spec's `training` as the trainer takes it, `epochs` in place of the spec's if given."""
    from auditor.methods.training import Recipe

    section = training_section(document)
    count = epochs or section.epochs
    assert count is not None
    return Recipe(
        count,
        section.batch_size,
        _objective(document, section),
        _optimizer(section),
        section.warm_up,
        section.initialization,
        _augmentation(document, section),
        section.precision,
    )


def _objective(document: Document, section: Training) -> CrossEntropy | GloRo | Pgd:
    from auditor.methods.training import CrossEntropy, GloRo, Pgd
    from auditor.spec import training as written
    from auditor.spec.guarantee import resolve

    stated = section.objective
    if isinstance(stated, written.PgdTraining):
        return Pgd(_schedule(stated.epsilon), stated.norm, stated.steps, document.model.input.range)
    if isinstance(stated, written.GloRoTraining):
        trades = stated.loss.weight if isinstance(stated.loss, written.Trades) else None
        return GloRo(
            _schedule(stated.epsilon),
            None if trades is None else _schedule(trades),
            resolve(stated.guarantee, _Sets(document)),
            stated.norm,
        )
    return CrossEntropy()


class _Sets:
    """The document's class sets by index, as a builder gives them."""

    def __init__(self, document: Document) -> None:
        self.document = document

    def class_sets(self, name: str) -> tuple[tuple[int, ...], ...]:
        classes = self.document.model.classes
        return tuple(tuple(classes.index(label) for label in one) for one in self.document.sets[name])


def _optimizer(section: Training) -> Adam | Sgd:
    from auditor.methods.training import Adam, Sgd
    from auditor.spec import training as written

    chosen = section.optimizer
    rate = _schedule(chosen.lr, shape="exponential")
    if isinstance(chosen, written.Adam):
        return Adam(rate, chosen.weight_decay)
    return Sgd(rate, chosen.momentum, chosen.nesterov, chosen.weight_decay)


def _augmentation(document: Document, section: Training) -> Augmentation | None:
    """Raises UsageError for inputs that are no images, and for brightness without a range."""
    if not section.augment:
        return None
    from auditor.methods.training import Augmentation
    from auditor.spec.training import Flip

    shape, box = document.model.input.shape, document.model.input.range
    if len(shape) != 3:
        raise UsageError(
            f"training.augment changes images, and model.input.shape is {list(shape)}",
            remedy="leave it out, or state the shape as [channels, height, width]",
        )
    stated: dict[str, Any] = {one.tag: True if isinstance(one, Flip) else one.most for one in section.augment}
    if "brightness" in stated and box is None:
        raise UsageError(
            "training.augment: brightness is a share of model.input.range, and none is stated",
            remedy="add model.input.range: [low, high]",
        )
    return Augmentation(**stated, box=box)


def _schedule(number: Any, shape: str = "linear") -> Schedule:
    from auditor.methods.training import Schedule

    if isinstance(number, (int, float)):
        return Schedule(float(number))
    return Schedule(number.from_, number.to, number.shape or shape, number.after, number.until)  # pyright: ignore[reportArgumentType]
