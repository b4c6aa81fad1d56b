"""Check types of other packages: found, and named where they are broken or clash."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from auditor.checks import registry
from auditor.checks.registry import discover
from auditor.errors import AuditorError

TYPE = '''
from typing import ClassVar, Literal
from auditor.spec.check import Check

class Mine(Check):
    """A claim."""
    metrics: ClassVar = {{"size": "how large it is"}}
    type: Literal["{name}"] = "{name}"
'''
NUMBERS = itertools.count()


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Offers a module with this source under the entry-point group; returns the module's name."""
    points: list[EntryPoint] = []
    names: list[str] = []

    def offer(source: str) -> str:
        name = f"offered_types_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(source)
        names.append(name)
        points.append(EntryPoint("mine", name, registry.GROUP))
        return name

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "entry_points", lambda *, group: points if group == registry.GROUP else [])
    yield offer
    for name in names:
        sys.modules.pop(name, None)


def test_a_package_offers_types_of_its_own(offered: Callable[..., str]) -> None:
    plain = discover()
    module = offered(TYPE.format(name="mine.size"))
    types = discover()
    assert types.keys() - plain.keys() == {"mine.size"}
    assert types["mine.size"].__module__ == module
    assert list(types) == sorted(types)


def test_a_type_that_is_only_imported_is_not_declared_again(offered: Callable[..., str]) -> None:
    plain = discover()
    offered("from auditor.checks.quality.accuracy import *\nfrom auditor.spec.check import Check\n")
    assert discover() == plain


def test_a_type_declared_twice_names_both_modules(offered: Callable[..., str]) -> None:
    first, second = offered(TYPE.format(name="mine.size")), offered(TYPE.format(name="mine.size"))
    with pytest.raises(AuditorError, match=f"mine.size is declared in {first} and in {second}"):
        discover()


def test_a_type_of_ours_is_not_replaced(offered: Callable[..., str]) -> None:
    module = offered(TYPE.format(name="quality.accuracy"))
    with pytest.raises(AuditorError, match=f"auditor.checks.quality.accuracy and in {module}"):
        discover()


@pytest.mark.parametrize("source", ["import no_such_module_at_all", "1 / 0", "def"])
def test_a_module_that_fails_to_import_is_named(offered: Callable[..., str], source: str) -> None:
    module = offered(source)
    with pytest.raises(AuditorError, match=f"{module}, the entry point mine .*cannot be imported"):
        discover()
