"""Seconds and megabytes of the report: HTML and PDF of the sample run, which has every kind of evidence.

    python -m benchmarks.pdf

Reach: a PDF of about 20 pages in 10 s and 5 MB on two cores (the sample has more pages; the time is given a page, too).
"""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

from auditor.report import pdf, render
from tests.report.sample import write_sample


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_sample(folder)
        render(folder, ["html"])
        formats = ["html"] if pdf.available() else ["html", "pdf"]
        for format in formats:
            started = time.perf_counter()
            (path,) = render(folder, [format])
            seconds, size = time.perf_counter() - started, path.stat().st_size / 1e6
            line = f"{format:5} {seconds:6.2f} s {size:6.2f} MB"
            if format == "pdf":
                pages = pages_of(path.read_bytes())
                line += f" {pages:4} pages {seconds / pages:6.2f} s a page {20 * seconds / pages:6.1f} s for 20"
            print(line)


def pages_of(data: bytes) -> int:
    """How many pages the file says that it has."""
    counts = re.findall(rb"/Type /Pages.{0,200}?/Count (\d+)|/Count (\d+).{0,200}?/Type /Pages", data, re.DOTALL)
    if counts:
        return int(counts[0][0] or counts[0][1])
    import zlib

    for match in re.finditer(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        try:
            found = re.search(rb"/Type /Pages.{0,20000}?/Count (\d+)", zlib.decompress(match[1]), re.DOTALL)
        except zlib.error:
            continue
        if found:
            return int(found[1])
    return 1


if __name__ == "__main__":
    main()
