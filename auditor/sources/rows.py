"""Rows of a source, as text: a Python slice."""

from __future__ import annotations


def parse_slice(text: str) -> slice:
    """ ":4500" -> slice(None, 4500). Raises ValueError for anything that is not start:stop[:step] in integers, step >
    0."""
    parts = text.split(":")
    if not 2 <= len(parts) <= 3:
        raise ValueError(f"{text!r} is not a slice such as ':4500', '4500:' or '0:9000:2'")
    try:
        numbers = [int(part) if part.strip() else None for part in parts]
    except ValueError:
        raise ValueError(f"{text!r} is not a slice: its parts must be whole numbers") from None
    if len(numbers) == 3 and numbers[2] is not None and numbers[2] <= 0:
        raise ValueError(f"{text!r}: the step must be positive")
    return slice(*numbers)


def as_slice(rows: str | slice | None) -> slice:
    """`rows` as a slice; None is all of them."""
    if rows is None:
        return slice(None)
    return parse_slice(rows) if isinstance(rows, str) else rows


def named(rows: object, *, most: int = 5) -> str:
    """Row numbers for a message: the first few of them, and how many there are."""
    numbers = [int(row) for row in rows]  # type: ignore[attr-defined]
    shown = ", ".join(str(number) for number in numbers[:most])
    if len(numbers) == 1:
        return f"row {shown}"
    return f"rows {shown}" if len(numbers) <= most else f"rows {shown}, … ({len(numbers)} in all)"
