"""Which formats an audit renders, and rendering them one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from auditor.errors import RenderError, UsageError

FORMATS = {
    "html": "report.html",
    "pdf": "report.pdf",
    "json": "results.json",
    "junit": "junit.xml",
    "sarif": "results.sarif",
    "md": "summary.md",
}
"""The contract's formats, each with its file."""
MISTAKE = "this is a mistake in auditor; the results are saved, and `auditor report RUN` renders them again"
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


def render_each(folder: Path, formats: Sequence[str]) -> tuple[tuple[Path, ...], tuple[RenderError, ...]]:
    """Renders all formats; if that fails, format by format, so that one which cannot be holds up no other."""
    from auditor.report import render

    try:
        return tuple(render(folder, formats)), ()
    except Exception:
        rendered: list[Path] = []
        unrendered: list[RenderError] = []
        for name in formats:
            try:
                rendered += render(folder, [name])
            except RenderError as error:
                unrendered.append(error)
            except Exception as error:
                wrapped = RenderError(f"{name}: internal error: {type(error).__name__}: {error}", remedy=MISTAKE)
                wrapped.__cause__ = error
                unrendered.append(wrapped)
        return tuple(rendered), tuple(unrendered)
