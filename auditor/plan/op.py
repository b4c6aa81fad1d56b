"""An op: a named, versioned function whose calls are the nodes of the graph."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

INJECTED = frozenset({"device", "progress"})
"""Keywords that the runner supplies and no digest holds: `device: str`, `progress: Callable[[int, int], None]`."""


@dataclass(frozen=True)
class Op(Generic[P, T]):
    """A function of keyword arguments, with what the runner must know about it.

    `version` changes when its numbers may. `device`: it computes on the audit's device, so the device kind and the
    torch version are part of its tasks' identity. `stored`: its result is kept; where False it is made again in each
    process that needs it (a loaded model, a data tensor). A parameter named `batch_size` is halved on out-of-memory.
    """

    function: Callable[P, T]
    version: int
    device: bool = False
    stored: bool = True

    @property
    def name(self) -> str:
        """`package.module:function`, by which a worker finds the op again."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    @property
    def label(self) -> str:
        """The function's own name, for people."""
        return self.function.__name__.replace("_", " ")

    @property
    def injected(self) -> frozenset[str]:
        return INJECTED & set(inspect.signature(self.function).parameters)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.function(*args, **kwargs)

    def __reduce__(self):
        return (find, (self.name,))


def find(name: str) -> Op[..., Any]:
    """The op of that `Op.name`, as a worker process needs it. Raises LookupError where the module holds no such op."""
    module, _, function = name.partition(":")
    value = vars(importlib.import_module(module)).get(function)
    if not isinstance(value, Op):
        raise LookupError(f"{name} is not an op: a module-level function declared with @op was expected")
    return value


def op(*, version: int, device: bool = False, stored: bool = True) -> Callable[[Callable[P, T]], Op[P, T]]:
    """Declares a module-level function of keyword arguments as an op."""

    def declare(function: Callable[P, T]) -> Op[P, T]:
        parameters = inspect.signature(function).parameters.values()
        assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters), f"{function}: keyword-only, please"
        return Op(function, version, device, stored)

    return declare
