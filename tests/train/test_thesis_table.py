"""The study of table 7.3 is killed, runs out of time, and ends with the figures of one that never was stopped."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

CLASSES = 10
COMMAND = [sys.executable, "-m", "benchmarks.thesis.table", "--small", "--models", "standard", "rt3", "--epochs", "30"]


def images(path: Path, count: int, seed: int) -> None:
    """Noise in ten brightnesses, as EuroSAT comes."""
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        pixels = draw.integers(0, 30, (64, 64, 3)) + 20 * (number % CLASSES)
        held = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(held, "PNG")
        rows.append({"image": {"bytes": held.getvalue(), "path": f"{number}.png"}, "label": number % CLASSES})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.fixture
def data(tmp_path) -> dict[str, str]:
    images(tmp_path / "data" / "eurosat" / "train.parquet", 60, 1)
    images(tmp_path / "data" / "eurosat" / "test.parquet", 30, 2)
    return {**os.environ, "AUDITOR_DATA": str(tmp_path), "OMP_NUM_THREADS": "1"}


def study(out: Path, environment: dict[str, str], *more: str) -> subprocess.Popen[str]:
    command = [*COMMAND, "-o", str(out), *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, cwd=Path(__file__).parents[2], **pipes)  # pyright: ignore[reportCallIssue, reportArgumentType]


def figures(out: Path) -> dict[str, object]:
    notes = {path.name: json.loads(path.read_text("utf-8")) for path in out.glob("*.training.json")}
    return {name: (note["measured"], note["model"]["sha256"]) for name, note in notes.items()}


@pytest.mark.slow
def test_killed_and_out_of_time_it_goes_on_to_the_same_figures(tmp_path, data):
    whole, often = tmp_path / "whole", tmp_path / "often"
    shown, errors = study(whole, data).communicate(timeout=300)
    assert "| rt3 |" in shown, errors
    killed = study(often, data)
    ends = time.monotonic() + 120
    while not list(often.glob("*.checkpoint.pt")):
        assert killed.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    stopped = study(often, data, "--minutes", "0")
    _, errors = stopped.communicate(timeout=300)
    assert stopped.returncode == 3, errors
    assert re.search(r"to do: .*rt3-1; the same command goes on", errors)
    again, errors = study(often, data).communicate(timeout=300)
    assert again.splitlines()[2:4] == shown.splitlines()[2:4]
    assert figures(often) == figures(whole)
    assert len(figures(whole)) == 2
    assert not list(often.glob("*.checkpoint.pt"))
