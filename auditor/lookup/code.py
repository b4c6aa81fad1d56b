"""Names of code in a spec: `path/to/file.py:callable` and `package.module:callable`.

A spec is trusted, a model file is not: what is named here is imported and called.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable as Function
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from auditor.errors import AuditorError, DataError
from auditor.lookup.files import find


@dataclass(frozen=True)
class Callable:
    """`where` is a file ending in .py or a dotted module; `name` the callable in it."""

    where: str
    name: str

    @property
    def is_file(self) -> bool:
        return self.where.endswith(".py")

    def __str__(self) -> str:
        return f"{self.where}:{self.name}"


def parse_callable(text: str) -> Callable | None:
    """`text` as the name of a callable; None if it is the path of a file."""
    where, colon, name = text.rpartition(":")
    dotted = all(part.isidentifier() for part in where.split("."))
    if colon and name.isidentifier() and (where.endswith(".py") or dotted):
        return Callable(where, name)
    return None


def load_callable(
    target: Callable, base: Path, *, subject: str, error: type[AuditorError] = DataError
) -> Function[..., Any]:
    """Imports and returns the callable. Raises `error` if the module or the name is not there, or importing fails.

    While a file is imported its own folder is on the path, so it may import its neighbours.
    """
    module = _from_file(target, base, subject, error) if target.is_file else _from_name(target, subject, error)
    function = getattr(module, target.name, None)
    if not callable(function):
        offered = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise error(
            f"{subject}: {target.where} has no callable {target.name!r}",
            remedy=f"it has {', '.join(offered)}" if offered else None,
        )
    return function


def _from_file(target: Callable, base: Path, subject: str, error: type[AuditorError]) -> ModuleType:
    path = find(target.where, base, subject=subject, error=error)
    source = path.read_bytes()
    name = f"_auditor_{path.stem}_{hashlib.sha256(str(path).encode() + source).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    loader = importlib.util.spec_from_file_location(name, path)
    assert loader is not None
    assert loader.loader is not None
    module = importlib.util.module_from_spec(loader)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        loader.loader.exec_module(module)
    except Exception as problem:
        del sys.modules[name]
        raise error(f"{subject}: importing {target.where} raised {type(problem).__name__}: {problem}") from problem
    finally:
        sys.path.remove(str(path.parent))
    return module


def _from_name(target: Callable, subject: str, error: type[AuditorError]) -> ModuleType:
    folder = str(Path.cwd())
    added = folder not in sys.path
    if added:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(target.where)
    except Exception as problem:
        raise error(f"{subject}: importing {target.where} raised {type(problem).__name__}: {problem}") from problem
    finally:
        if added:
            sys.path.remove(folder)
