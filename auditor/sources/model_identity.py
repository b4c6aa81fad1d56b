"""Identity of a model: its weights, and the source of its architecture with whatever of the project that imports.

Nothing is imported or executed: the source is parsed, its imports are followed to files, and their text is hashed.
Imports made with importlib or from strings cannot be seen; nor can what a third-party package does, of which only the
version counts."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from auditor.digest import content_digest, digest
from auditor.errors import ModelError
from auditor.lookup.code import parse_callable
from auditor.lookup.files import find

ENVIRONMENT = frozenset({"torch", "numpy"})
"""Packages whose versions are a leaf of the graph already."""


def model_identity(section: Any, file: Path | str, base: Path) -> dict[str, Any]:
    """`weights` and, where the spec names an architecture, `architecture`: SHA-256 each; and how the spec reads the
    output.

    `section` is the spec's `ModelSection`. Raises ModelError for a missing file or architecture.
    """
    path = Path(file)
    if not path.is_file():
        raise ModelError(
            f"model file {str(file)!r} does not exist",
            remedy="give the path of the weights as the second argument",
            code="missing-file",
        )
    architecture = section.architecture
    return {
        "weights": content_digest(path),
        "architecture": None if architecture is None else digest(architecture_identity(str(architecture), base)),
        "arguments": dict(section.arguments or {}),
        "normalize": _plain(section.normalize),
        "decision": section.decision,
        "classes": list(section.classes),
        "shape": list(section.input.shape),
    }


def architecture_identity(architecture: str, base: Path) -> dict[str, Any]:
    """The callable's name, the SHA-256 of each source file it rests on by module name, versions of other packages.

    Raises ModelError for a callable that cannot be found or whose source cannot be parsed.
    """
    target = parse_callable(architecture)
    if target is None:
        raise ModelError(
            f"model.architecture {architecture!r} is not a callable",
            remedy="write path/to/file.py:callable or package.module:callable",
        )
    walk = _Walk([Path.cwd(), Path(base)])
    if target.is_file:
        path = find(target.where, base, subject="model.architecture", error=ModelError)
        walk.roots.insert(0, path.parent)
        walk.visit(".", path)
    elif not walk.follow(target.where):
        raise ModelError(
            f"model.architecture: module {target.where!r} is not found",
            remedy="install it, or name its file: path/to/file.py:callable",
        )
    return {"callable": target.name, "sources": walk.sources, "packages": walk.packages}


class _Walk:
    """Source files reached through imports."""

    def __init__(self, roots: list[Path]):
        self.roots = roots
        self.sources: dict[str, str] = {}
        self.packages: dict[str, str] = {}

    def visit(self, module: str, path: Path) -> None:
        if module in self.sources:
            return
        text = path.read_bytes()
        self.sources[module] = hashlib.sha256(text).hexdigest()
        try:
            tree = ast.parse(text, filename=path.name)
        except SyntaxError as error:
            raise ModelError(f"{path.name}:{error.lineno}: architecture cannot be parsed: {error.msg}") from error
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for name in _imports(tree, package):
            self.follow(name)

    def follow(self, name: str) -> bool:
        """Visits every module and package on the way to `name`; whether the first part was found at all."""
        parts = name.split(".")
        if parts[0] in sys.stdlib_module_names:
            return True
        if parts[0] in self.packages:
            return True
        for root in [*self.roots, *(Path(entry or ".") for entry in sys.path)]:
            if _module(root, parts[:1]) is None:
                continue
            if _installed(root) and parts[0] != "auditor":
                self._version(parts[0])
                return True
            for depth in range(1, len(parts) + 1):
                found = _module(root, parts[:depth])
                if found is None:
                    break
                own_package = parts[0] == "auditor" and found.name == "__init__.py" and depth < len(parts)
                if not own_package:
                    self.visit(".".join(parts[:depth]), found)
            return True
        self._version(parts[0])
        return parts[0] in self.packages

    def _version(self, package: str) -> None:
        if package in ENVIRONMENT:
            return
        try:
            self.packages[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Absolute dotted names a module imports, each with the names taken from it, which may be modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                parents = package.split(".") if package else []
                kept = parents[: len(parents) - node.level + 1]
                origin = ".".join([*kept, origin] if origin else kept)
            if origin:
                yield origin
            yield from (f"{origin}.{alias.name}" if origin else alias.name for alias in node.names if alias.name != "*")


def _module(root: Path, parts: list[str]) -> Path | None:
    """The file of a module below `root`."""
    path = root.joinpath(*parts)
    for candidate in (path / "__init__.py", path.with_name(path.name + ".py")):
        if candidate.is_file():
            return candidate
    return None


def _installed(root: Path) -> bool:
    """Whether `root` holds installed packages rather than the project's own."""
    places = {*site.getsitepackages(), site.getusersitepackages(), *sysconfig.get_paths().values()}
    return str(root.resolve()) in {str(Path(place).resolve()) for place in places}


def _plain(value: Any) -> Any:
    return value.model_dump() if hasattr(value, "model_dump") else value
