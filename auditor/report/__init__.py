"""The report of a finished run, from results.json and the evidence files alone: no model, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from auditor.errors import RenderError, UsageError

FILES = {
    "html": "report.html",
    "pdf": "report.pdf",
    "json": "results.json",
    "junit": "junit.xml",
    "sarif": "results.sarif",
    "md": "summary.md",
}
"""Each format's file in the run's folder."""


def render(run_dir: Path | str, formats: Sequence[str] = ("html",), *, pdf_variant: str = "pdf/ua-1") -> list[Path]:
    """Writes the asked-for formats into the run's folder and returns their paths, in the order asked.

    HTML and PDF also write each plot as `evidence/<check>/<id>.svg`. `pdf_variant`: "pdf/ua-1", tagged and accessible,
    or "pdf/a-3a", for archives, with results.json attached. Bytes depend on the run's files alone. Everything else is
    written before a format that cannot be raises RenderError. Raises RecordError where the results cannot be read,
    UsageError for an unknown format.
    """
    from auditor.records import Results
    from auditor.report.folder import RunFolder

    for name in formats:
        if name not in FILES:
            raise UsageError(f"unknown format {name!r}", remedy=f"choose from {', '.join(FILES)}")
    folder = RunFolder(Path(run_dir))
    results = Results.read(folder.root)
    written: dict[str, Path] = {}
    failed: RenderError | None = None
    page = document = None
    if {"html", "pdf"} & set(formats):
        from auditor.report.compose.document import compose
        from auditor.report.html import html

        document = compose(results, folder)
        page = html(document)
    for name in sorted(set(formats), key=lambda name: name == "pdf"):
        if name == "json":
            written[name] = folder.root / FILES[name]
            continue
        try:
            written[name] = folder.write(FILES[name], _content(name, results, page, document, pdf_variant))
        except RenderError as error:
            failed = error
    if failed is not None:
        raise failed
    return [written[name] for name in dict.fromkeys(formats)]


def _content(name: str, results, page, document, pdf_variant: str) -> bytes:
    match name:
        case "html":
            return page.encode("utf-8")
        case "pdf":
            from auditor.report.pdf import pdf

            return pdf(
                page, document, variant=pdf_variant, attached={"results.json": results.to_json().encode("utf-8")}
            )
        case "junit":
            from auditor.report.junit import junit

            return junit(results)
        case "sarif":
            from auditor.report.sarif import sarif

            return sarif(results)
        case _:
            from auditor.report.markdown import markdown

            return markdown(results)


__all__ = ["FILES", "render"]
