"""Numbers, dates and counts as the report prints them: a real minus, thin spaces, few digits."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

THIN = "\u202f"
"""The narrow no-break space, for thousands and before a percent sign."""
MINUS = "−"
DASH = "–"
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def number(value: Any, *, apart_from: float | None = None) -> str:
    """Three or four significant digits, whole numbers whole, an en dash for None.

    With `apart_from`, as many digits more as it takes that `value` does not read like that number when it is not.
    """
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, (int, float)):
        return {"inf": "∞", "-inf": f"{MINUS}∞", "nan": "undefined"}.get(str(value), str(value))
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if isinstance(value, int):
        return _signed(f"{value:,}")
    text = _rounded(value)
    if apart_from is not None and value != apart_from:
        digits = len(text.partition(".")[2])
        while digits < 9 and math.isclose(float(text.replace(",", "")), apart_from, rel_tol=0, abs_tol=10.0**-12):
            digits += 1
            text = f"{value:,.{digits}f}"
    return _signed(text)


def _rounded(value: float) -> str:
    size = abs(value)
    if size == 0:
        return "0.000"
    if size >= 1e6 or size < 1e-4:
        return f"{value:.2e}".replace("e-0", "e-").replace("e+0", "e+")
    if value == int(value) and size >= 10:
        return f"{value:,.0f}"
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 0.02 else 4
    return f"{value:,.{digits}f}"


def exact(value: Any) -> str:
    """A number that a person wrote down, as written: 0.73, 0.10 (two decimals at least below one), 3."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return number(value)
    if isinstance(value, int) or value == int(value):
        return _signed(f"{value:,.0f}") if abs(value) >= 2 else _signed(f"{value:.2f}")
    text = repr(value)
    return _signed(f"{value:.2f}" if "e" not in text and len(text.partition(".")[2]) < 2 else text)


def change(value: float | None) -> str:
    """A difference with its sign."""
    if value is None:
        return DASH
    text = number(value)
    return text if text.startswith(MINUS) else f"+{text}"


def interval(bounds: Sequence[Any] | None, *, apart_from: float | None = None) -> str:
    if bounds is None:
        return ""
    return f"[{number(bounds[0], apart_from=apart_from)}, {number(bounds[1], apart_from=apart_from)}]"


def percent(share: float, digits: int = 0) -> str:
    text = f"{100 * share:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}{THIN}%"


def _signed(text: str) -> str:
    return text.replace("-", MINUS) if "e" not in text else text.replace("-", MINUS, 1) if text[0] == "-" else text


def count(n: int, noun: str, plural: str | None = None) -> str:
    """ "one check", "thirteen" as "13 checks"."""
    return f"{counted(n)} {noun if n == 1 else plural or noun + 's'}"


def counted(n: int) -> str:
    return COUNTS[n] if n < len(COUNTS) else f"{n:,}"


def sentence(text: str) -> str:
    """`text` with a capital and one full stop."""
    text = text.strip()
    if not text:
        return ""
    head = text[0].upper() + text[1:]
    return head if head.endswith((".", "!", "?")) else f"{head}."


def listed(items: Sequence[str], joint: str = "and") -> str:
    """ "a, b and c"."""
    items = list(items)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {joint} {items[-1]}" if items else ""


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f}{THIN}s" if seconds >= 0.05 else f"<{THIN}0.1{THIN}s"
    whole = round(seconds)
    hours, minutes, left = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours}{THIN}h {minutes:02d}{THIN}min"
    return f"{minutes}{THIN}min {left:02d}{THIN}s" if minutes else f"{left}{THIN}s"


def date(text: str) -> str:
    """An ISO date or time as "24 November 2026"; anything else as it is."""
    try:
        day = dt.datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{day.day} {day.strftime('%B %Y')}"


def moment(text: str) -> str:
    """An ISO time as "2026-11-24 09:14:07 UTC"; anything else as it is."""
    try:
        when = dt.datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{when:%Y-%m-%d %H:%M:%S} {when.tzname() or ''}".rstrip()


def short_hash(digest: str) -> str:
    """The first twelve and last four digits in groups of four."""
    if len(digest) < 20:
        return digest
    return f"{digest[:4]} {digest[4:8]} {digest[8:12]} … {digest[-4:]}"


def tiny_hash(digest: str) -> str:
    return digest if len(digest) < 14 else f"{digest[:8]}…{digest[-4:]}"


def plainly(value: Any) -> str:
    """A value of the spec on one line: maps as `key value`, lists with commas."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key} {_nested(item)}" if item not in ({}, None) else str(key) for key, item in value.items()
        )
    if isinstance(value, (list, tuple)):
        return ", ".join(_nested(item) for item in value)
    if isinstance(value, float):
        return f"{value:g}".replace("-", MINUS)
    return number(value) if isinstance(value, int) else str(value)


def _nested(value: Any) -> str:
    text = plainly(value)
    return f"({text})" if isinstance(value, Mapping) and len(value) > 1 else text


def metric_name(name: str) -> str:
    """A metric's name as a label: "accuracy under attack"; VRA and other initials in capitals."""
    capitals = {
        "vra": "VRA",
        "auc": "AUC",
        "ssim": "SSIM",
        "tpr": "TPR",
        "fpr": "FPR",
        "f1": "F1",
        "cav": "CAV",
        "1pct": f"1{THIN}%",
    }
    return " ".join(capitals.get(word, word) for word in name.replace(".", " ").split("_"))
