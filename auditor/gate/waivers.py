"""Waivers: one exact check, accepted as it is until a day, by a named person for a stated reason."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from auditor.gate.direction import beyond, worsening
from auditor.gate.wording import distinguishing, number
from auditor.records import Finding, Status, Waived

LONGEST = dt.timedelta(days=365)
WAIVABLE = frozenset({Status.FAIL, Status.INCONCLUSIVE})
"""An error or a skipped check is not known to be anything, so there is nothing to accept."""


class Waiver(Protocol):
    """An entry of the spec's `waivers`. Dates as written; `at_value` the value that was accepted."""

    @property
    def check(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def granted(self) -> Any: ...
    @property
    def expires(self) -> Any: ...
    @property
    def at_value(self) -> float | None: ...


class Applied(NamedTuple):
    """Findings with live waivers laid over; per check why a waiver of it is not live; what else to say about them."""

    findings: tuple[Finding, ...]
    refused: Mapping[str, str]
    warnings: tuple[str, ...]


def apply(
    findings: Sequence[Finding],
    waivers: Sequence[Waiver],
    *,
    as_of: dt.date,
    tolerance: float,
    left_out: frozenset[str],
) -> Applied:
    """Lays every live waiver over its finding. The finding's own status stays.

    Live means: a waivable status, today within [granted, expires], those at most 365 days apart, and, with `at_value`,
    a value not worse than that by more than `tolerance`.
    """
    refused: dict[str, str] = {}
    warnings: list[str] = []
    laid: list[Finding] = []
    for finding in findings:
        own = [waiver for waiver in waivers if waiver.check == finding.check]
        if finding.check in left_out or not own:
            laid.append(finding)
            continue
        if finding.status is Status.PASS:
            laid.append(finding)
            warnings += [f"The waiver for {finding.check} is not needed: the check passes." for _ in own[:1]]
            continue
        objections = [_objection(waiver, finding, as_of=as_of, tolerance=tolerance) for waiver in own]
        live = next((waiver for waiver, objection in zip(own, objections, strict=True) if objection is None), None)
        if live is None:
            refused[finding.check] = "; ".join(dict.fromkeys(text for text in objections if text))
            laid.append(finding)
        else:
            laid.append(finding.model_copy(update={"waived": _record(live)}))
    known = {finding.check for finding in findings} | left_out
    warnings += [
        f"The waiver for {waiver.check} applies to nothing: there is no check of that name."
        for waiver in waivers
        if waiver.check not in known
    ]
    return Applied(tuple(laid), refused, tuple(warnings))


def date_of(written: Any) -> dt.date | None:
    """The day that `written` states as YYYY-MM-DD; None where it does not."""
    if isinstance(written, dt.datetime):
        return None
    if isinstance(written, dt.date):
        return written
    if isinstance(written, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", written, re.ASCII):
        try:
            return dt.date.fromisoformat(written)
        except ValueError:
            return None
    return None


def _objection(waiver: Waiver, finding: Finding, *, as_of: dt.date, tolerance: float) -> str | None:
    """Why the waiver is not live for the finding, None if it is."""
    if finding.status not in WAIVABLE:
        return f"a check that ends in {finding.status.value} cannot be waived"
    granted, expires = date_of(waiver.granted), date_of(waiver.expires)
    for name, written, day in (("granted", waiver.granted, granted), ("expires", waiver.expires, expires)):
        if written is None:
            return f"its waiver counts as expired: it does not say `{name}`"
        if day is None:
            return f"its waiver counts as expired: `{name}: {written}` is not a date such as 2026-11-20"
    assert granted is not None
    assert expires is not None
    if not granted <= expires:
        return f"its waiver counts as expired: it ends on {expires}, before it was granted on {granted}"
    if expires - granted > LONGEST:
        days = (expires - granted).days
        return (
            f"its waiver counts as expired: {days} days from {granted} to {expires}, at most {LONGEST.days} are allowed"
        )
    if as_of > expires:
        return f"its waiver expired on {expires}"
    if as_of < granted:
        return f"its waiver is granted from {granted}, after the audit's date {as_of}"
    if waiver.at_value is None:
        return None
    worse = worsening(finding.threshold, waiver.at_value, finding.value)
    if worse is None:
        return f"its waiver was granted at {number(waiver.at_value)}, and there is no value to compare with that"
    if beyond(worse, tolerance, waiver.at_value, finding.value):
        digits = distinguishing(waiver.at_value, finding.value)
        before, now = number(waiver.at_value, digits), number(finding.value, digits)
        change = f"{finding.metric} was {before} when it was granted and is now {now}"
        return f"its waiver is open again: {change}, worse by more than {number(tolerance)}"
    return None


def _record(waiver: Waiver) -> Waived:
    return Waived(
        reason=waiver.reason,
        owner=waiver.owner,
        granted=str(date_of(waiver.granted)),
        expires=str(date_of(waiver.expires)),
    )
