"""A killed audit resumes: whenever SIGKILL comes, the next run ends with what an uninterrupted one ends with."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest


def start(tmp_path, store: str, out: str, jobs: int = 1) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.run.audit_process", str(tmp_path / store), str(tmp_path / out), str(jobs)]
    return subprocess.Popen(command)


def entries(tmp_path, store: str) -> int:
    return len(list((tmp_path / store).glob("1/??/*/entry.json")))


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_cleanly_with_what_had_finished(tmp_path, jobs):
    """Ctrl-C reaches the whole process group, workers included."""
    command = [
        sys.executable,
        "-m",
        "tests.run.audit_process",
        str(tmp_path / "store"),
        str(tmp_path / "out"),
        str(jobs),
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A suite that runs in the background passes on that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while process.poll() is None and entries(tmp_path, "store") < 2:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "of 15 tasks had finished and are kept" in output
    assert errors == "", "no traceback, from workers neither"
    assert 2 <= entries(tmp_path, "store") < 15


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_sigkill_then_rerun_gives_the_same_outcome(tmp_path, jobs, calls):
    assert start(tmp_path, "whole", "whole.json", jobs).wait() == 0
    uninterrupted = calls()
    chance = random.Random(jobs)
    latest = entries(tmp_path, "whole") - 5
    seen = 0
    while seen < latest:
        process = start(tmp_path, "killed", "killed.json", jobs)
        aim = min(seen + chance.randint(1, 4), latest)
        while process.poll() is None and entries(tmp_path, "killed") < aim:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.01)
        process.kill()
        process.wait()
        time.sleep(0.3 if jobs > 1 else 0)
        seen = entries(tmp_path, "killed")
    assert 0 < seen < entries(tmp_path, "whole"), "killed in the middle"
    assert not (tmp_path / "killed.json").exists()
    calls()
    assert start(tmp_path, "killed", "killed.json", jobs).wait() == 0
    resumed = calls()
    assert (tmp_path / "killed.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    stored = {name: count for name, count in resumed.items() if name != "numbers"}
    assert sum(stored.values()) == entries(tmp_path, "whole") - seen, "only what was missing is computed"
    assert sum(stored.values()) < sum(uninterrupted.values())
