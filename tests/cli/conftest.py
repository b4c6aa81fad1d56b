"""A small project to audit: a spec, an architecture and trained weights, on the embedded digits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

ARCHITECTURE = '''
"""Two dense layers; with `soft`, an operation that no bound is known for between them."""
from torch import nn


class Fold(nn.Module):
    def forward(self, x):
        return x.cumsum(-1).sort(-1).values


def build(soft: bool = False):
    return nn.Sequential(nn.Linear(64, 24), Fold() if soft else nn.ReLU(), nn.Linear(24, 10))
'''

SPEC = """\
auditor: 1
name: tiny
purpose: Handwritten digits, 8x8.   # a comment that stays

model:
  architecture: model.py:build
  input: {shape: [64], range: [0, 1]}
  classes: [zero, one, two, three, four, five, six, seven, eight, nine]

data:
  train: {path: "sklearn:digits", rows: ":1200"}
  test: {path: "sklearn:digits", rows: "1200:"}

defaults: {over: test, confidence: 0.95, seed: 7}

checks:
  accuracy:
    type: quality.accuracy
    require: {metric: accuracy, at_least: 0.5}
  robust/attacked:
    type: robustness.attacked
    epsilon: 0.05
    attack: {pgd: {steps: 3, restarts: 1}}
    require: {metric: accuracy_under_attack, at_least: 0.5}

gate: {block_on: [fail, inconclusive, error], regression: 0.01}
"""


def interruptible() -> None:
    """Lets a child be interrupted even where the suite runs in the background, which makes it ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Project:
    """A folder that is the working directory, with the command line run in this process or in one of its own."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    environment: dict[str, str]

    def run(self, *arguments: str) -> Ended:
        """In this process."""
        from auditor.cli import main

        self.capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = self.capture.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, out, err)

    def spawn(self, *arguments: str, code: str | None = None, module: str = "auditor") -> subprocess.Popen[str]:
        """In a process of its own; `code` is Python to run in place of `python -m module`."""
        start = ["-m", module] if code is None else ["-c", code]
        return subprocess.Popen(
            [sys.executable, *start, *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                **self.environment,
                "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=interruptible,
        )

    def apart(self, *arguments: str, code: str | None = None, module: str = "auditor") -> Ended:
        """As `spawn`, waited for."""
        process = self.spawn(*arguments, code=code, module=module)
        out, err = process.communicate(timeout=120)
        return Ended(process.returncode, out, err)

    def edit(self, *replacements: tuple[str, str], file: str = "spec.yaml") -> None:
        text = (self.folder / file).read_text()
        for old, new in replacements:
            assert old in text, old
            text = text.replace(old, new)
        (self.folder / file).write_text(text)

    def add_check(self, body: str) -> None:
        """`body` is indented as in the spec, under `checks`."""
        self.edit(("\ngate:", f"{body}\ngate:"))

    def results(self, folder: str = "out") -> dict[str, Any]:
        return json.loads((self.folder / folder / "results.json").read_text())

    def outside_run(self, folder: str = "out") -> str:
        """The text of results.json before its last key, `run`."""
        text = (self.folder / folder / "results.json").read_text()
        head, key, _ = text.partition('\n "run": {')
        assert key
        return head

    def with_store(self, store: Path | str) -> Project:
        return replace(self, environment={**self.environment, "AUDITOR_CACHE": str(store)})


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files, the model trained once a session."""
    import torch
    from sklearn.datasets import load_digits
    from torch import nn

    folder = tmp_path_factory.mktemp("template")
    (folder / "model.py").write_text(ARCHITECTURE)
    (folder / "spec.yaml").write_text(SPEC)
    digits = load_digits()
    x = torch.tensor(digits.data[:1200] / 16, dtype=torch.float32)
    y = torch.tensor(digits.target[:1200])
    for name, soft in (("m.pt", False), ("soft.pt", True)):
        torch.manual_seed(0)
        scope: dict[str, Any] = {"__name__": "model"}
        exec(ARCHITECTURE, scope)
        network = scope["build"](soft)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        for _ in range(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x), y).backward()
            optimizer.step()
        torch.save(network.state_dict(), folder / name)
    return folder


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for the tests that do not ask what is in it."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def project(
    template: Path,
    shared_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Project:
    """A fresh copy, in which the test runs."""
    folder = tmp_path / "project"
    shutil.copytree(template, folder)
    environment = {"AUDITOR_CACHE": str(shared_store), "OMP_NUM_THREADS": "1", "COLUMNS": "80", "NO_COLOR": "1"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.chdir(folder)
    return Project(folder, capsys, environment)


@pytest.fixture
def own_store(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Project]:
    """The project with an empty store of its own."""

    def made(name: str) -> Project:
        monkeypatch.setenv("AUDITOR_CACHE", str(tmp_path / name))
        return project.with_store(tmp_path / name)

    return made
