"""Robustness guarantees as a spec names them; `resolve` turns them into the values `methods` compute with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol

from pydantic import AfterValidator, ValidationInfo

from auditor import terms
from auditor.spec.names import Declared, SetName
from auditor.spec.problem import problem
from auditor.tagged import Tagged
from auditor.terms import Standard, TopK


@dataclass(frozen=True)
class AffinitySets:
    """Affinity robustness (thesis def. 7.2) over the collection of class sets that `sets` declares under `name`."""

    tag: ClassVar[str] = "affinity"
    inline: ClassVar[bool] = True
    name: SetName


def _below_classes(guarantee: object, info: ValidationInfo) -> object:
    classes = info.context.classes if isinstance(info.context, Declared) else None
    if isinstance(guarantee, TopK) and classes is not None and guarantee.k >= len(classes):
        raise problem(
            "top-k-too-large",
            f"top_k is {guarantee.k}, the model has {len(classes)} classes: the set of all classes never changes",
            remedy=f"choose top_k of at most {len(classes) - 1}",
            at=("top_k",),
        )
    return guarantee


Guarantee = Annotated[
    Standard | TopK | AffinitySets, Tagged(Standard, TopK, AffinitySets), AfterValidator(_below_classes)
]
"""`standard`, `{top_k: 3}` or `{affinity: NAME}`; `top_k` lies below the number of classes."""


class _Sets(Protocol):
    def class_sets(self, name: str) -> tuple[tuple[int, ...], ...]: ...


def resolve(guarantee: Standard | TopK | AffinitySets, build: _Sets) -> Standard | TopK | terms.Affinity:
    """The guarantee with its class sets as indices, as `methods.robustness` takes it. `build` is the plan's builder."""
    if isinstance(guarantee, AffinitySets):
        return terms.Affinity(build.class_sets(guarantee.name))
    return guarantee
