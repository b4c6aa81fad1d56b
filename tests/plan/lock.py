"""The lock on op versions: `ops.lock.json` holds the version and the source hash of every op, and CI compares.

    python -m tests.plan.lock                         adds new ops, takes over those whose version was raised
    python -m tests.plan.lock --same-numbers OP ...   takes over a change of source that leaves every number as it was

An op's source is its function, all it uses of its own module, and the modules of `auditor` it imports for computing
(`methods`, `statistics`, shared modules of checks), in turn with what these import. It is hashed as a syntax tree
without docstrings, so that formatting, comments and wording are free.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import json
import pkgutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

from auditor.plan.op import Op

LOCK = Path(__file__).with_name("ops.lock.json")
COMPUTING = ("auditor.methods", "auditor.statistics", "auditor.plan.matching", "auditor.loading", "auditor.checks")
"""Packages whose modules an op's numbers depend on."""
APART = ("auditor.checks.registry",)
HANDED_IN = {
    "load_model": "auditor.loading",
    "describe_model": "auditor.loading",
    "read_inputs": "auditor.sources",
    "read_labels": "auditor.sources",
    "read_index": "auditor.sources",
    "read_attributes": "auditor.sources",
}
"""Ops that call an object they are given, each with the package where its class does the work."""


def ops() -> dict[str, Op]:
    """Every op of the package by name."""
    found: dict[str, Op] = {}
    for module in [*_modules("auditor.checks"), *_modules("auditor.audit")]:
        for value in vars(module).values():
            if isinstance(value, Op):
                found[value.name] = value
    return dict(sorted(found.items()))


def current() -> dict[str, dict[str, object]]:
    """What the lock would say now."""
    return {name: {"version": op.version, "source": source_hash(op.name)} for name, op in ops().items()}


def problems(lock: dict, now: dict) -> list[str]:
    """One line per op whose numbers may have changed without its version, or that the lock does not know."""
    lines = []
    for name in sorted(lock.keys() | now.keys()):
        if name not in now:
            lines.append(f"{name} is in the lock but no longer there; refresh the lock")
        elif name not in lock:
            lines.append(f"{name} is new; refresh the lock")
        elif lock[name]["version"] != now[name]["version"]:
            lines.append(
                f"{name} has version {now[name]['version']}, the lock {lock[name]['version']}; refresh the lock"
            )
        elif lock[name]["source"] != now[name]["source"]:
            lines.append(
                f"{name} changed, its version {now[name]['version']} did not: raise it if any number may differ, "
                f"else `python -m tests.plan.lock --same-numbers {name}`"
            )
    return lines


def source_hash(name: str) -> str:
    """SHA-256 over the normalised source that the op `module:function` depends on."""
    module, _, function = name.partition(":")
    seen: dict[str, str] = {}
    waiting = [(module, function)]
    for info in _walk(HANDED_IN[function]) if function in HANDED_IN else ():
        waiting += [(info, name) for name in _definitions(info)]
    while waiting:
        module, name = waiting.pop()
        key = f"{module}:{name}"
        if key in seen or module in APART:
            continue
        seen[key] = ""
        found = _definitions(module)
        if name not in found:
            continue
        node = found[name]
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            waiting += _imported(node, name)
            continue
        seen[key] = _normal(node)
        waiting += [(module, used) for used in _names(node) if used in found]
        for inner in ast.walk(node):
            if isinstance(inner, (ast.Import, ast.ImportFrom)):
                waiting += _imported(inner)
    return hashlib.sha256(json.dumps(sorted(seen.items())).encode()).hexdigest()


@cache
def _definitions(module: str) -> dict[str, ast.stmt]:
    """Top-level functions, classes, assignments and imports of a module by the name they bind."""
    found: dict[str, ast.stmt] = {}
    for node in _tree(module).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found[node.name] = node
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                found[(alias.asname or alias.name).partition(".")[0]] = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        found[name.id] = node
    return found


def _imported(node: ast.Import | ast.ImportFrom, bound: str | None = None) -> Iterator[tuple[str, str]]:
    """(module, name) of what `node` imports from computing modules: all of it, or only what it binds as `bound`."""
    for alias in node.names:
        if bound is not None and (alias.asname or alias.name).partition(".")[0] != bound:
            continue
        whole = alias.name if isinstance(node, ast.Import) else f"{node.module}.{alias.name}"
        if whole.startswith(COMPUTING) and _exists(whole):
            yield from ((whole, name) for name in _definitions(whole))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(COMPUTING):
            yield node.module or "", alias.name


@cache
def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@cache
def _tree(module: str) -> ast.Module:
    spec = importlib.util.find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, module
    return ast.parse(Path(spec.origin).read_text("utf-8"))


def _names(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _normal(node: ast.stmt) -> str:
    """The syntax tree as text, without positions and docstrings."""
    copy = ast.parse(ast.unparse(node))
    for inner in ast.walk(copy):
        body = getattr(inner, "body", None)
        if isinstance(body, list):
            kept = [item for item in body if not _is_text(item)]
            inner.body = kept or [ast.Pass()]  # pyright: ignore[reportAttributeAccessIssue]
    return ast.dump(copy)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _modules(package: str) -> Iterator[ModuleType]:
    """Modules of the package that declare ops."""
    return (importlib.import_module(name) for name in _walk(package) if "op" in _definitions(name))


def _walk(package: str) -> list[str]:
    root = importlib.import_module(package)
    return [package, *(info.name for info in pkgutil.walk_packages(root.__path__, prefix=f"{package}."))]


def main(arguments: list[str]) -> int:
    lock = json.loads(LOCK.read_text("utf-8")) if LOCK.exists() else {}
    now = current()
    allowed = set(arguments[1:]) if arguments[:1] == ["--same-numbers"] else set()
    unknown = allowed - now.keys()
    if unknown or (arguments and not allowed):
        print(__doc__ if not unknown else f"no such op: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    refused = [
        name
        for name in lock.keys() & now.keys()
        if lock[name]["version"] == now[name]["version"] and lock[name]["source"] != now[name]["source"]
    ]
    refused = sorted(set(refused) - allowed)
    for name in refused:
        now[name] = lock[name]
        print(f"not taken over: {name} changed without its version", file=sys.stderr)
    LOCK.write_text(json.dumps(now, indent=1) + "\n", "utf-8")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
