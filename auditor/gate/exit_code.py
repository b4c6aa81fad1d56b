"""Exit codes and which of several wins (contract: "Commands")."""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Exit(enum.IntEnum):
    """How `auditor` ends, each member with what it means."""

    meaning: str

    def __new__(cls, value: int, meaning: str):
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    PASSED = 0, "gate passed"
    BLOCKED = 1, "gate blocked by a fail, an inconclusive, a regression or an expired waiver"
    USAGE = 2, "usage, invalid spec, empty selection, a question `plan` finds undecidable"
    MISSING = 3, "model or data missing, hash mismatch, load refused"
    ERRORS = 4, "gate blocked by errors alone"
    NOT_RENDERED = 5, "results saved, rendering failed"
    INTERRUPTED = 130, "interrupted; prints the command that resumes"


PRECEDENCE = (
    Exit.INTERRUPTED,
    Exit.USAGE,
    Exit.MISSING,
    Exit.NOT_RENDERED,
    Exit.BLOCKED,
    Exit.ERRORS,
    Exit.PASSED,
)


def worst(codes: Iterable[int]) -> Exit:
    """The one of `codes` that the program ends with; PASSED if there are none."""
    seen = set(codes)
    return next((code for code in PRECEDENCE if code in seen), Exit.PASSED)
