"""`@pytest.mark.audit`: each finding is one test outcome."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Project

TEST = """
import pytest

@pytest.mark.audit("spec.yaml", "m.pt", out="out")
def test_model(finding):
    assert finding.n == 597
"""


def pytest_in(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    installed = any(point.name == "auditor" for point in importlib.metadata.entry_points(group="pytest11"))
    process = project.spawn(
        *([] if installed else ["-p", "auditor.pytest_plugin"]),
        "-q",
        "-rA",
        *arguments,
        code="import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))",
    )
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess([sys.executable], process.returncode, out, err)


def test_each_finding_is_one_outcome(project: Project) -> None:
    project.edit(("accuracy, at_least: 0.5", "accuracy, at_least: 0.98"))
    project.add_check(
        "  fair:\n    type: quality.accuracy\n    severity: warn\n    require: {metric: accuracy, at_least: 0.98}\n"
    )
    Path("test_audit.py").write_text(TEST)
    done = pytest_in(project)
    assert done.returncode == 1
    assert "FAILED test_audit.py::test_model[accuracy]" in done.stdout
    assert "required at least 0.98, 597 rows" in done.stdout
    assert "PASSED test_audit.py::test_model[robust/attacked]" in done.stdout
    assert "PASSED test_audit.py::test_model[fair]" in done.stdout
    assert "fair (severity warn): Fails" in done.stdout
    assert "1 failed, 2 passed" in done.stdout
    assert len(list(Path("out").glob("results.json"))) == 1


def test_a_waived_one_is_an_expected_failure_and_selection_is_obeyed(project: Project) -> None:
    project.edit(("accuracy, at_least: 0.5", "accuracy, at_least: 0.98"))
    assert (
        project.run("waive", "spec.yaml", "accuracy", "--reason", "r", "--owner", "o", "--expires", "2099-01-01").code
        == 2
    )
    import datetime as dt

    soon = (dt.date.today() + dt.timedelta(days=30)).isoformat()
    assert project.run("waive", "spec.yaml", "accuracy", "--reason", "r", "--owner", "o", "--expires", soon).code == 0
    Path("test_audit.py").write_text(TEST.replace('out="out"', 'select="name:accuracy"'))
    done = pytest_in(project)
    assert done.returncode == 0, done.stdout
    assert "1 xfailed" in done.stdout


def test_a_broken_spec_is_told_once(project: Project) -> None:
    project.edit(("type: quality.accuracy", "type: quality.acuracy"))
    Path("test_audit.py").write_text(TEST)
    done = pytest_in(project)
    assert done.returncode != 0
    assert "spec.yaml:18:" in done.stdout
