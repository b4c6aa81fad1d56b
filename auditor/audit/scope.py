"""What the report speaks about, taken from the spec."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from auditor.digest import file_digest, jsonable
from auditor.records import Scope, SpecRecord

if TYPE_CHECKING:
    from auditor.audit.prepare import Prepared


def spec_record(prepared: Prepared) -> SpecRecord:
    document = prepared.document
    included = [path for path in document.files if path.resolve() != document.path.resolve()]
    return SpecRecord(
        name=document.name,
        path=prepared.spec.as_posix(),
        sha256=file_digest(document.path),
        text=document.text,
        files={path.as_posix(): file_digest(path) for path in included},
    )


def scope(prepared: Prepared, as_of: dt.date) -> Scope:
    document = prepared.document
    return Scope(
        purpose=document.purpose or "",
        risk_tier=document.risk_tier,
        classes=tuple(document.model.classes),
        training=None if document.training is None else _plain(document.training),
        sets=document.sets,
        gate=_plain(document.gate),
        waivers=tuple(_plain(waiver) for waiver in document.waivers),
        report=_plain(document.report),
        selection=prepared.plan.selection,
        as_of=as_of.isoformat(),
        seed=prepared.seed,
    )


def _plain(section: Any) -> dict[str, Any]:
    """A section of the spec as JSON, without what it does not state."""
    return jsonable(section.model_dump(mode="json", exclude_none=True, by_alias=True))
