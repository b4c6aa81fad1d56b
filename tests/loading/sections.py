"""A stand-in for the spec's `ModelSection`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def section(
    architecture: str | None = None,
    *,
    shape: tuple[int, ...] = (3,),
    classes: tuple[str, ...] = ("a", "b"),
    range: tuple[float, float] | None = (0.0, 1.0),
    arguments: dict[str, Any] | None = None,
    normalize: Any = None,
    decision: str = "highest",
    sha256: str | None = None,
) -> Any:
    return SimpleNamespace(
        architecture=architecture,
        arguments=arguments or {},
        input=SimpleNamespace(shape=shape, range=range),
        classes=classes,
        normalize=normalize,
        decision=decision,
        sha256=sha256,
    )
