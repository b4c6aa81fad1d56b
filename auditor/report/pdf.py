"""The PDF: the same page through WeasyPrint, tagged, loading nothing but what the page holds."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from auditor.errors import RenderError

if TYPE_CHECKING:
    from auditor.report.view import Document

PACKAGES = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
"""What a bare Debian lacks."""
ARCHIVE = "pdf/a-3a"
VARIANTS = ("pdf/ua-1", "pdf/ua-2", "pdf/a-3a", "pdf/a-2a")


@cache
def available() -> str | None:
    """Why no PDF can be made on this machine, or None where it can."""
    try:
        import weasyprint  # noqa: F401
    except (OSError, ImportError) as error:
        return " ".join(str(error).split())
    return None


def missing(reason: str) -> RenderError:
    return RenderError(
        f"report.pdf: the system libraries that WeasyPrint needs are missing ({reason})",
        remedy=f"install them (Debian, Ubuntu: apt-get install {PACKAGES}); `auditor doctor` checks them. "
        "Everything else is written, report.html included.",
        code="pango-missing",
    )


def pdf(
    html: str, document: Document, *, variant: str = "pdf/ua-1", attached: Mapping[str, bytes] | None = None
) -> bytes:
    """The page as PDF bytes, the same for the same page, with `attached` files inside where the variant may hold some.

    Raises RenderError where the system lacks Pango.
    """
    reason = available()
    if reason is not None:
        raise missing(reason)
    if variant not in VARIANTS:
        raise RenderError(f"PDF variant {variant!r} is not known", remedy=f"use one of {', '.join(VARIANTS)}")
    import weasyprint

    with _quiet(), _epoch(document.created):
        page = weasyprint.HTML(string=html, url_fetcher=_only_our_own())
        files = [
            weasyprint.Attachment(string=content, name=name, relationship="Data")
            for name, content in (attached or {}).items()
            if variant == ARCHIVE
        ]
        identifier = document.run.encode("ascii")
        written = page.write_pdf(
            pdf_variant=variant, pdf_tags=True, pdf_identifier=identifier, attachments=files or None
        )
    assert written is not None
    return written


def _only_our_own() -> Any:
    """A fetcher that opens `data:` URLs, which lie in the page itself, and refuses everything else."""
    from weasyprint.urls import FatalURLFetchingError, URLFetcher

    class OnlyOurOwn(URLFetcher):
        def fetch(self, url: str, headers: Any = None) -> Any:
            if not url.startswith("data:"):
                raise FatalURLFetchingError(f"the report may not load {url[:80]!r}")
            return super().fetch(url, headers)

    return OnlyOurOwn(allowed_protocols=("data",), allow_redirects=False)


@contextmanager
def _epoch(created: str) -> Iterator[None]:
    """SOURCE_DATE_EPOCH, which dates the embedded fonts: as set, else the time the audit began."""
    name = "SOURCE_DATE_EPOCH"
    if name in os.environ:
        yield
        return
    try:
        stamp = int(dt.datetime.fromisoformat(created).timestamp())
    except ValueError:
        stamp = 0
    os.environ[name] = str(max(stamp, 0))
    try:
        yield
    finally:
        os.environ.pop(name, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """WeasyPrint warns of every property it does not know; the page holds some for browsers alone."""
    import logging

    logger = logging.getLogger("weasyprint")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
