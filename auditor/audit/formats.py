"""Which formats an audit renders."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.errors import UsageError

FORMATS = {
    "html": "report.html",
    "pdf": "report.pdf",
    "json": "results.json",
    "junit": "junit.xml",
    "sarif": "results.sarif",
    "md": "summary.md",
}
"""The contract's formats, each with its file."""
DEFAULT = ("html", "json")


def wanted(asked: Sequence[str] | None, declared: Sequence[str] | None) -> tuple[str, ...]:
    """`asked` on the command line, else `declared` in the spec's report section, else HTML and JSON; each once.

    Raises UsageError for an unknown name.
    """
    names = tuple(dict.fromkeys(asked or declared or DEFAULT))
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"unknown format {name!r}", remedy=f"choose from {', '.join(FORMATS)}")
    return names
