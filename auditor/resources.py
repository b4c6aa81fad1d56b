"""Finds `templates/` and `specs/`, in an installed package or in a checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def resource(*parts: str) -> Path:
    """The path of a shipped file or folder, e.g. `resource("templates", "report.html.j2")`.

    Installed, these folders lie inside the package under `_resources`; in a checkout, beside it.
    """
    for root in (PACKAGE / "_resources", PACKAGE.parent):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(f"auditor's own file {'/'.join(parts)} is missing; reinstall the package")
