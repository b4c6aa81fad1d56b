"""Every check type there is: those of `auditor.checks`, and those that installed packages offer.

A package offers types by naming a module in the entry-point group `auditor.checks`:

    [project.entry-points."auditor.checks"]
    mine = "my_package.checks"
"""

from __future__ import annotations

import pkgutil
import typing
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType
from typing import Literal

from auditor.errors import AuditorError
from auditor.spec.check import Check

GROUP = "auditor.checks"


def discover() -> dict[str, type[Check]]:
    """The check types by name, in order of name. Imports neither torch nor scipy.

    Raises AuditorError (code `check-types`) naming the modules, where one cannot be imported or two declare the
    same type.
    """
    found: dict[str, type[Check]] = {}
    for module in _modules():
        for name, kind in declared(module):
            if name in found and found[name] is not kind:
                raise AuditorError(
                    f"the check type {name} is declared in {found[name].__module__} and in {kind.__module__}",
                    remedy="rename one, or uninstall the package that brings it",
                    code="check-types",
                )
            found[name] = kind
    return dict(sorted(found.items()))


def declared(module: ModuleType) -> Iterator[tuple[str, type[Check]]]:
    """The check types that `module` defines: subclasses of Check whose `type` is a Literal."""
    for kind in vars(module).values():
        if isinstance(kind, type) and issubclass(kind, Check) and kind.__module__ == module.__name__:
            annotation = kind.model_fields["type"].annotation
            if typing.get_origin(annotation) is Literal:
                for name in typing.get_args(annotation):
                    yield name, kind


def _modules() -> Iterator[ModuleType]:
    """Modules of `auditor.checks`, then those of the entry points with their submodules."""
    root = import_module("auditor.checks")
    names = [info.name for info in pkgutil.walk_packages(root.__path__, root.__name__ + ".", onerror=_broken)]
    for name in names:
        if name != __name__:
            yield _imported(name, "a part of auditor")
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        module = _imported(point.value, f"the entry point {point.name} of {_package(point)}")
        yield module
        for info in pkgutil.walk_packages(getattr(module, "__path__", ()), module.__name__ + ".", onerror=_broken):
            yield _imported(info.name, f"the entry point {point.name} of {_package(point)}")


def _imported(name: str, origin: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:
        raise AuditorError(
            f"{name}, {origin}, cannot be imported: {type(error).__name__}: {error}",
            remedy="repair or uninstall the package that brings it",
            code="check-types",
        ) from error


def _broken(name: str) -> None:
    _imported(name, "a package of check types")


def _package(point: object) -> str:
    distribution = getattr(point, "dist", None)
    return "an unknown package" if distribution is None else str(distribution.name)
