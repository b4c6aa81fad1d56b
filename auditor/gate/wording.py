"""The gate's sentences: what a finding says about its threshold, in plain words with its numbers."""

from __future__ import annotations

import math
from typing import Any

from auditor.records import Finding, Status

VERBS = {
    Status.PASS: "holds",
    Status.FAIL: "fails",
    Status.INCONCLUSIVE: "is not decided",
    Status.ERROR: "could not finish",
    Status.SKIPPED: "was not run",
}


def sentence(finding: Finding) -> str:
    """One sentence, ended by a full stop: "Fails: vra 0.702 in [0.681, 0.741], required at least 0.73, 4500 rows."."""
    head = VERBS[finding.status].capitalize()
    if finding.status in (Status.ERROR, Status.SKIPPED):
        return _ended(f"{head}: {finding.reason or 'no reason was recorded'}")
    if finding.value is None and finding.reason:
        return _ended(f"{head}: {finding.reason}")
    parts = [f"{finding.metric} {measured(finding)}", demand(finding)]
    if finding.n is not None:
        parts.append(f"{finding.n} row{'' if finding.n == 1 else 's'}")
    return _ended(f"{head}: {', '.join(part for part in parts if part)}")


def unproved(finding: Finding) -> str:
    """What a finding rests on by a user's word, as a sentence; empty where there is nothing of the kind."""
    return f"Assumed, not checked: {_ended('; '.join(finding.assumed))}" if finding.assumed else ""


def measured(finding: Finding) -> str:
    """ "0.702 in [0.681, 0.741]", the interval left out where there is none or it is one point."""
    low, high = finding.interval or (None, None)
    digits = distinguishing(finding.value, low, high, *_bounds(finding))
    value = number(finding.value, digits)
    return value if low is None or low == high else f"{value} in [{number(low, digits)}, {number(high, digits)}]"


def demand(finding: Finding) -> str:
    """ "required at least 0.73", "allowed at most 0.1 on at least 0.9 of the rows"; empty without a threshold."""
    threshold = finding.threshold or {}
    if "at_least" in threshold:
        text = f"required at least {number(threshold['at_least'], 17)}"
    elif "at_most" in threshold:
        text = f"allowed at most {number(threshold['at_most'], 17)}"
    else:
        return ""
    if "for_at_least" in threshold:
        return f"{text} on at least {number(threshold['for_at_least'], 17)} of the rows"
    return f"{text} on every row" if threshold.get("for") == "all" else text


def distinguishing(*values: float | None) -> int:
    """The fewest significant digits, four or more, at which different `values` still read differently."""
    known = {value for value in values if value is not None and math.isfinite(value)}
    return next((digits for digits in (4, 6, 9) if len({number(value, digits) for value in known}) == len(known)), 17)


def number(value: Any, digits: int = 4) -> str:
    """`digits` significant digits at most, whole numbers whole; an en dash where there is none."""
    if value is None:
        return "–"
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return str(value)
    if not math.isfinite(value):
        return {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan")
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value) if digits >= 17 else f"{value:.{digits}g}"


def _bounds(finding: Finding) -> list[float]:
    """What the value is compared with."""
    threshold = finding.threshold or {}
    keys = ("for_at_least",) if "for_at_least" in threshold else ("at_least", "at_most")
    return [threshold[key] for key in keys if isinstance(threshold.get(key), (int, float))]


def _ended(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
