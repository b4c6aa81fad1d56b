from __future__ import annotations

from pathlib import Path

import pytest

from auditor.records import Results
from auditor.report import pdf, render
from tests.report.sample import write_sample

requires_pango = pytest.mark.skipif(pdf.available() is not None, reason="Pango is not on this machine")


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered sample run; tests only read it."""
    folder = tmp_path_factory.mktemp("run")
    write_sample(folder)
    render(folder, ["html", "junit", "sarif", "md"])
    return folder


@pytest.fixture(scope="session")
def results(run_dir: Path) -> Results:
    return Results.read(run_dir)


@pytest.fixture(scope="session")
def page(run_dir: Path) -> str:
    return (run_dir / "report.html").read_text("utf-8")
