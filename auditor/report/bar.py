"""The interval bar: a value with its interval on a track, hatched where the check would not pass."""

from __future__ import annotations

import math
from dataclasses import dataclass

from auditor.records import Finding
from auditor.report import words


@dataclass(frozen=True)
class Bar:
    """Positions in percent of the track. `value_at` and `demand_at`: where a label lies about its place."""

    kind: str
    low: str
    high: str
    bad: tuple[float, float] | None
    interval: tuple[float, float] | None
    point: float | None
    value: str
    value_at: str
    threshold: float | None
    demand: str
    demand_at: str
    alt: str


@dataclass(frozen=True)
class Demand:
    """What a finding's value is compared with: at least (`below` is bad) or at most."""

    limit: float
    at_least: bool

    @property
    def sign(self) -> str:
        return "≥" if self.at_least else "≤"

    @property
    def short(self) -> str:
        return f"{self.sign} {words.exact(self.limit)}"

    @property
    def long(self) -> str:
        return f"{'required' if self.at_least else 'allowed'} {self.short}"

    @property
    def spoken(self) -> str:
        return (
            f"required at least {words.exact(self.limit)}"
            if self.at_least
            else f"allowed at most {words.exact(self.limit)}"
        )


def demand(finding: Finding) -> Demand | None:
    """The number that `value` and `interval` are held against; for a share of rows, that share."""
    threshold = finding.threshold or {}
    if threshold.get("for") == "all":
        return Demand(1.0, True)
    for key, at_least in (("for_at_least", True), ("at_least", True), ("at_most", False)):
        limit = threshold.get(key)
        if isinstance(limit, (int, float)) and math.isfinite(limit):
            return Demand(float(limit), at_least)
    return None


def spoken(finding: Finding) -> str:
    """The bar in words."""
    asked = demand(finding)
    limit = asked.limit if asked else None
    parts = [f"{words.metric_name(finding.metric)} {words.number(finding.value, apart_from=limit)}"]
    if finding.interval is not None and finding.interval[0] != finding.interval[1]:
        low, high = (words.number(end, apart_from=limit) for end in finding.interval)
        parts.append(f"interval {low} to {high}")
    if asked:
        parts.append(asked.spoken)
    return f"{', '.join(parts)}: {finding.status.value}"


def interval_bar(finding: Finding) -> Bar | None:
    """The bar of a finding, or None where it has neither value nor interval to draw."""
    asked = demand(finding)
    value = finding.value if finding.value is not None and math.isfinite(finding.value) else None
    if value is None and finding.interval is None:
        return None
    limit = asked.limit if asked else None
    known = [x for x in (value, *(finding.interval or ()), limit) if x is not None and math.isfinite(x)]
    if not known:
        return None
    low, high, step = scale(known)

    def place(x: float) -> float:
        return 100 * min(1.0, max(0.0, (x - low) / (high - low)))

    bad = None
    if asked is not None:
        edge = place(asked.limit)
        bad = (0.0, edge) if asked.at_least else (edge, 100.0 - edge)
    interval = None
    if finding.interval is not None and not any(math.isnan(end) for end in finding.interval):
        left, right = place(finding.interval[0]), place(finding.interval[1])
        interval = (left, max(right - left, 0.0))
    digits = max(2, -math.floor(math.log10(step))) if step < 1 else 0
    threshold = None if limit is None else place(limit)
    point = None if value is None else place(value)
    demand_at = _side(threshold, 16)
    return Bar(
        kind=finding.evidence_kind.value,
        low=""
        if threshold is not None and threshold < 24
        else words.number(low)
        if digits == 0
        else _tick(low, digits),
        high=""
        if threshold is not None and threshold > 76
        else words.number(high)
        if digits == 0
        else _tick(high, digits),
        bad=bad,
        interval=interval,
        point=point,
        value=words.number(value, apart_from=limit) if value is not None else "",
        value_at=_side(point, 6),
        threshold=threshold,
        demand=asked.long if asked else "",
        demand_at=demand_at,
        alt=spoken(finding),
    )


def scale(known: list[float]) -> tuple[float, float, float]:
    """Ends of a track that holds all of `known` with air around it, and the step its ends are rounded to."""
    low, high = min(known), max(known)
    span = high - low or abs(high) * 0.2 or 0.1
    step = nice(span / 4)
    start, end = math.floor((low - span * 0.4) / step) * step, math.ceil((high + span * 0.4) / step) * step
    if low >= 0:
        start = max(start, 0.0)
    if high <= 1 and low >= 0:
        end = min(end, 1.0)
    if end <= start:
        end = start + step
    return start, end, step


def nice(size: float) -> float:
    """The nearest of 1, 2, 5 × 10ⁿ at or above `size`."""
    power = 10.0 ** math.floor(math.log10(size))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= size * 0.999)


def _tick(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", words.MINUS)


def _side(position: float | None, margin: float) -> str:
    if position is None:
        return "middle"
    return "start" if position < margin else "end" if position > 100 - margin else "middle"
