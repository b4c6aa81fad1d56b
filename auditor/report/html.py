"""The page: one HTML file that loads nothing, needs no script, and prints."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from auditor.report import marks, typeface
from auditor.report.figures import palette
from auditor.resources import resource

if TYPE_CHECKING:
    from markupsafe import Markup

    from auditor.report.view import Document


def html(document: Document) -> str:
    """The whole report as a string."""
    environment = _environment()
    style = environment.get_template("style.css.j2").render(doc=document)
    sheet = typeface.stylesheet() + palette.stylesheet() + style
    return environment.get_template("report.html.j2").render(doc=document, stylesheet=sheet)


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader([resource("templates", "report"), resource("templates")]),
        autoescape=lambda name: name is None or name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        status_mark=lambda status, word=None: Markup(marks.status_mark(status, word)),
        evidence_mark=lambda kind, word=None: Markup(marks.evidence_mark(kind, word)),
        STATUS_WORDS=marks.WORDS,
        STATUS_MEANS=marks.STATUS_MEANS,
        EVIDENCE_MEANS=marks.EVIDENCE_MEANS,
    )
    environment.filters.update(prose=prose, soft=soft, css=css_string, percent=lambda value: f"{value:.2f}%")
    return environment


def prose(text: str) -> Markup:
    """Escaped text in which `code` between back-quotes is set as code, and a number's hyphen as a minus sign."""
    from markupsafe import Markup, escape

    parts = re.split(r"`([^`\n]+)`", text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if k % 2 else escape(re.sub(r"(?<![\w-])-(?=\d)", "−", part))
        for k, part in enumerate(parts)
    )


def soft(text: str) -> Markup:
    """Escaped text that may break inside: after a slash or underscore, before a capital that follows a small letter."""
    from markupsafe import Markup, escape

    parts = re.split(r"(?<=[a-z])(?=[A-Z])|(?<=[/_])(?=.)", text)
    return Markup("<wbr>").join(escape(part) for part in parts)


def css_string(text: str) -> str:
    """`text` as a CSS string, everything unusual as code points, so that it ends neither the string nor the sheet."""
    return '"' + "".join(char if char.isalnum() or char in " .,:·-_/" else f"\\{ord(char):06x}" for char in text) + '"'
