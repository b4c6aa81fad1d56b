"""How a validator anywhere in the spec language reports a problem: with its code, its place and its remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic_core import PydanticCustomError


def problem(code: str, what: str, *, remedy: str | None = None, at: tuple[str | int, ...] = ()) -> PydanticCustomError:
    """The error to raise from a pydantic validator. The loader turns it into `file:line:column: code: what`.

    `code` is one of `auditor.spec.codes.CODES`. `at` leads from the validated value to the place to blame, e.g.
    `("require", "metric")` in a model validator of a check; a missing last key blames the map that lacks it.
    """
    return PydanticCustomError(code, "{what}", {"what": what, "remedy": remedy, "at": at})  # pyright: ignore[reportArgumentType]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, None if none is close."""
    by_fold = {name.casefold(): name for name in known}
    if word.casefold() in by_fold:
        return by_fold[word.casefold()]
    close = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[close[0]] if close else None


def suggestion(word: str, known: Iterable[str], *, limit: int = 12) -> str:
    """`did you mean 'River'?`, or the list of what there is where nothing is close."""
    known = list(known)
    close = nearest(word, known)
    if close is not None:
        return f"did you mean {close!r}?"
    if not known:
        return "there is none to name"
    shown = ", ".join(known[:limit]) + (", ..." if len(known) > limit else "")
    return f"choose one of {shown}"
