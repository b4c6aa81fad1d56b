"""A task: one call of an op, known by the digest of all it depends on."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditor.digest import digest
from auditor.plan.machine import Environment
from auditor.plan.op import Op
from auditor.spec.builder import Ref


@dataclass(frozen=True)
class Task:
    """`op` called with `parameters`, in which a Ref stands for the value of another task.

    `digest` is the SHA-256 of the op's name and version, the parameters, the inputs' digests and, for an op that
    computes on a device, the torch version and the kind of device. `rows` says how many rows of data it handles, where
    that is known; it serves the estimate alone and is no part of the identity.
    """

    op: Op[..., Any]
    parameters: Mapping[str, Any]
    inputs: tuple[str, ...]
    digest: str
    rows: int | None = None

    @property
    def batch_size(self) -> int | None:
        size = self.parameters.get("batch_size")
        return size if isinstance(size, int) else None


def make_task(
    op: Op[..., Any], parameters: Mapping[str, Any], environment: Environment, *, rows: int | None = None
) -> Task:
    """The task of calling `op`. Defaults are filled in, so that a call that spells them out is the same task.

    Raises TypeError for a keyword the op does not take, one it lacks, or a value without a canonical form.
    """
    filled = _bound(op, parameters)
    identity = {
        "op": op.name,
        "version": op.version,
        "parameters": _with_refs_named(filled),
        "environment": dataclasses.asdict(environment) if op.device else None,
    }
    try:
        key = digest(identity)
    except TypeError as error:
        raise TypeError(f"{op.name}: {error}") from None
    return Task(op, filled, tuple(dict.fromkeys(refs(filled))), key, rows)


def refs(value: Any) -> Iterator[str]:
    """Digests of the Refs within nested mappings and sequences, in order."""
    if isinstance(value, Ref):
        yield value.digest
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from refs(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from refs(item)


def with_values(value: Any, lookup: Callable[[str], Any]) -> Any:
    """`value` with every Ref replaced by what `lookup` gives for its digest."""
    if isinstance(value, Ref):
        return lookup(value.digest)
    if isinstance(value, Mapping):
        return {key: with_values(item, lookup) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(with_values(item, lookup) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(with_values(item, lookup) for item in value)
    return value


def _bound(op: Op[..., Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    signature = inspect.signature(op.function)
    free = [item for name, item in signature.parameters.items() if name not in op.injected]
    try:
        bound = signature.replace(parameters=free).bind(**parameters)
    except TypeError as error:
        raise TypeError(f"{op.name}: {error}") from None
    bound.apply_defaults()
    return dict(bound.arguments)


def _with_refs_named(value: Any) -> Any:
    """Canonical, with each Ref as the digest it names; a plain map cannot be mistaken for one."""
    if isinstance(value, Ref):
        return {"kind": "Ref", "digest": value.digest}
    if isinstance(value, Mapping):
        return {"map": {key: _with_refs_named(item) for key, item in value.items()}}
    if isinstance(value, (list, tuple)):
        return [_with_refs_named(item) for item in value]
    return value
