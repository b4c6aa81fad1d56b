"""What the report speaks about, taken from the spec."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.digest import file_digest, jsonable
from auditor.records import Scope, SpecRecord

if TYPE_CHECKING:
    from auditor.audit.prepare import Prepared
    from auditor.spec.check import Check

YAML = (".yaml", ".yml")


def spec_record(prepared: Prepared) -> SpecRecord:
    document = prepared.document
    included = [path for path in document.files if path.resolve() != document.path.resolve()]
    return SpecRecord(
        name=document.name,
        path=prepared.spec.as_posix(),
        sha256=file_digest(document.path),
        text=document.text,
        files={path.as_posix(): file_digest(path) for path in included},
        texts={path.as_posix(): path.read_text(encoding="utf-8") for path in included if path.suffix in YAML},
    )


def place(prepared: Prepared, check: str) -> dict[str, Any]:
    """`file` and `line` of a finding: where the spec states the check; no file where that is the main one."""
    document = prepared.document
    mark = document.places.get(check)
    if mark is None:
        return {}
    main = Path(mark.file).resolve() == document.path.resolve()
    return {"file": None if main else Path(mark.file).as_posix(), "line": mark.line}


def scope(prepared: Prepared, as_of: dt.date) -> Scope:
    document = prepared.document
    return Scope(
        purpose=document.purpose or "",
        risk_tier=document.risk_tier,
        classes=tuple(document.model.classes),
        training=None if document.training is None else _plain(document.training),
        sets=document.sets,
        set_users={name: tuple(_naming(name, document.checks)) for name in document.sets},
        gate=_plain(document.gate),
        waivers=tuple(_plain(waiver) for waiver in document.waivers),
        report=_plain(document.report),
        selection=prepared.plan.selection,
        as_of=as_of.isoformat(),
        seed=prepared.seed,
    )


def _naming(name: str, checks: Mapping[str, Check]) -> Iterator[str]:
    """The checks that name a collection of class sets."""
    for check in checks.values():
        if name in set(_texts(check.model_dump(mode="json"))):
            yield check.name


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for part in value.values() for text in _texts(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in _texts(part))


def _plain(section: Any) -> dict[str, Any]:
    """A section of the spec as JSON, without what it does not state."""
    return jsonable(section.model_dump(mode="json", exclude_none=True, by_alias=True))
