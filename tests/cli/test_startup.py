"""What must not be imported before it is needed. `benchmarks/startup.py` measures the time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Project

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "numpy", "scipy", "sklearn", "matplotlib", "networkx", "weasyprint", "pyarrow", "pandas")
LIGHT = (*HEAVY, "pydantic", "yaml", "rich")
PROBE = """
import sys
from auditor.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert ended.code == {code}, ended.code
found = sorted(name for name in {names!r} if name in sys.modules)
assert not found, found
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["check", "--help"], ["init", "--help"]], ids=" ".join
)
def test_help_imports_nothing_that_computes(project: Project, arguments: list[str]) -> None:
    ended = project.apart(*arguments, code=PROBE.format(code=0, names=LIGHT))
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["validate", "spec.yaml"], 0),
        (["list", "checks"], 0),
        (["schema"], 0),
        (["explain", "unsupported"], 0),
        (["check", "spec.yaml", "absent.pt"], 3),
    ],
    ids=str,
)
def test_the_light_world_stays_light(project: Project, arguments: list[str], code: int) -> None:
    ended = project.apart(*arguments, code=PROBE.format(code=code, names=HEAVY))
    assert ended.code == 0, ended.err


def test_importing_auditor_imports_neither_torch_nor_pydantic() -> None:
    probe = f"import sys, auditor; assert auditor.__version__; assert not set({LIGHT!r}) & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=False).returncode == 0


def test_the_version_is_the_package_s() -> None:
    import tomllib

    import auditor

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert auditor.__version__ == project["version"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = auditor.nothing
