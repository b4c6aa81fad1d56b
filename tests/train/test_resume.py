"""A training that is killed or stopped goes on to the weights of one that never was."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from auditor.errors import Interrupted
from auditor.train import conduct, train
from auditor.train.checkpoint import checkpoint_path
from auditor.train.progress import Progress
from tests.train.project import project, run

GLORO = "{gloro: {epsilon: {from: 0.0, to: 0.2, shape: log, until: 0.5}, guarantee: {top_k: 2}, loss: {trades: 1.2}}}"


def stopped_after(
    number: int, monkeypatch: pytest.MonkeyPatch, *, how: type[BaseException] = KeyboardInterrupt
) -> None:
    """Ends the training as epoch `number` is shown, before it is kept."""

    class Stopping(Progress):
        def __call__(self, epoch) -> None:
            if epoch.number == number:
                raise how
            super().__call__(epoch)

    monkeypatch.setattr(conduct, "Progress", Stopping)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture
def every_epoch_kept(monkeypatch):
    monkeypatch.setattr("auditor.train.checkpoint.SHARE", 1.0)


@pytest.mark.parametrize("objective", ["cross_entropy", GLORO, "{pgd: {epsilon: 0.1, steps: 2}}"])
def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path, monkeypatch, every_epoch_kept, objective):
    spec = project(tmp_path, objective)
    whole, weights, _ = run(spec, "whole.pt")
    with monkeypatch.context() as patched:
        stopped_after(13, patched)
        with pytest.raises(Interrupted, match="after epoch 13; epoch 12 is kept"):
            run(spec)
    assert not (tmp_path / "made" / "model.pt").exists()
    note, resumed, shown = run(spec)
    assert "going on after epoch 12" in shown
    assert note["resumed_after"] == 12
    assert note["curve"] == whole["curve"]
    assert note["measured"] == whole["measured"]
    assert same(weights, resumed)
    assert [path.name for path in sorted((tmp_path / "made").glob("*model*"))] == ["model.pt", "model.training.json"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("epochs: 30", "epochs: 31"), ("seed: 3", "seed: 4"), ("batch_size: 32", "batch_size: 16"), ('iris"', 'iris"\n')],
)
def test_a_checkpoint_of_another_spec_is_not_gone_on_from(tmp_path, monkeypatch, every_epoch_kept, old, new):
    spec = project(tmp_path)
    with monkeypatch.context() as patched:
        stopped_after(5, patched)
        with pytest.raises(Interrupted):
            run(spec)
    spec.write_text(spec.read_text().replace(old, new))
    changed = new.strip() != old
    note, weights, shown = run(spec)
    assert (note["resumed_after"] is None) == changed
    assert ("of another spec" in shown) == changed
    _, fresh, _ = run(spec, "fresh.pt")
    assert same(weights, fresh)


def test_a_changed_architecture_is_another_training(tmp_path, monkeypatch, every_epoch_kept):
    spec = project(tmp_path)
    with monkeypatch.context() as patched:
        stopped_after(5, patched)
        with pytest.raises(Interrupted):
            run(spec)
    model = tmp_path / "model.py"
    model.write_text(model.read_text().replace("MinMax(), ", "nn.Tanh(), "))
    assert run(spec)[0]["resumed_after"] is None


def test_a_checkpoint_that_cannot_be_read_is_said_so_and_replaced(tmp_path):
    spec = project(tmp_path)
    checkpoint = checkpoint_path(tmp_path / "made" / "model.pt")
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"half of a file")
    note, _, shown = run(spec, epochs=2)
    assert "cannot be read" in shown
    assert note["resumed_after"] is None
    assert not checkpoint.exists()


def test_one_killed_while_the_result_is_proved_only_proves_it_again(tmp_path, monkeypatch, every_epoch_kept):
    spec = project(tmp_path, GLORO)
    with monkeypatch.context() as patched:
        patched.setattr(conduct, "evaluate", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(spec)
    note, weights, shown = run(spec)
    assert "after epoch 30" in shown
    assert "epoch 30/30" not in shown
    whole, fresh, _ = run(spec, "whole.pt")
    assert same(weights, fresh)
    assert note["measured"] == whole["measured"]


def test_saving_takes_no_more_than_its_share_of_the_time(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("auditor.train.checkpoint.time.monotonic", lambda: now[0])
    monkeypatch.setattr("torch.save", lambda *arguments: now.__setitem__(0, now[0] + 1.0))
    from auditor.train.checkpoint import Checkpoint

    keeping = Checkpoint(tmp_path / "model.checkpoint.pt", "x")
    kept = []
    for number in range(1, 41):
        now[0] += 1.0
        keeping.save({}, [{}] * number, 0.0)
        kept.append(keeping.saved)
    assert kept[0] == 1
    assert len(set(kept)) == 5


def test_out_of_time_it_keeps_the_epoch_and_goes_on_to_the_same_weights(tmp_path):
    spec = project(tmp_path, GLORO)
    whole, weights, _ = run(spec, "whole.pt")
    for number in (1, 2):
        with pytest.raises(Interrupted, match=f"after epoch {number}; epoch {number} is kept"):
            run(spec, until=0.0)
    note, resumed, _ = run(spec)
    assert note["resumed_after"] == 2
    assert note["measured"] == whole["measured"]
    assert same(weights, resumed)


@pytest.mark.slow
def test_killed_at_any_moment_it_reaches_the_same_weights(tmp_path):
    """SIGKILL, at moments it cannot know of, until it comes through."""
    edits = ("epochs: 30", "epochs: 400")
    spec = project(tmp_path, GLORO, edits)
    _, weights, _ = run(spec, "whole.pt")
    out = tmp_path / "made" / "model.pt"
    killed = 0
    for wait in (0.0, 0.2, 0.4):
        process = training(spec, out)
        wait_for(checkpoint_path(out), process)
        time.sleep(wait)
        process.kill()
        process.communicate()
        if out.exists():
            break
        killed += 1
    assert killed, "none of the trainings was killed in time"
    _, resumed, shown = run(spec)
    assert "going on after epoch" in shown
    assert same(weights, resumed)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_says_how_to_go_on(tmp_path, number):
    spec = project(tmp_path, GLORO, ("epochs: 30", "epochs: 4000"))
    out = tmp_path / "made" / "model.pt"
    process = training(spec, out)
    wait_for(checkpoint_path(out), process)
    process.send_signal(number)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped after epoch" in shown
    assert f"resume with: auditor train {spec} -o {out}" in shown
    assert "\r" not in shown


def training(spec: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "auditor", "train", str(spec), "-o", str(out), "--device", "cpu"]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    ends = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_two_trainings_are_equal_bit_for_bit(tmp_path):
    spec = project(tmp_path, GLORO)
    notes, weights = zip(*(run(spec, f"{name}.pt", epochs=6)[:2] for name in ("one", "two")), strict=True)
    assert same(*weights)
    assert notes[0]["curve"] == notes[1]["curve"]
    assert notes[0]["model"]["sha256"] == notes[1]["model"]["sha256"]


def test_the_log_has_a_line_at_first_and_at_last(tmp_path):
    stream = io.StringIO()
    train(project(tmp_path, GLORO), tmp_path / "model.pt", device="cpu", epochs=8, stream=stream)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("epoch 1/8  loss ")
    assert lines[0].endswith(" left")
    assert any(line.startswith("epoch 8/8  loss ") for line in lines)
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_at_80_columns_every_number_of_the_epoch_is_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    train(project(tmp_path, GLORO), tmp_path / "model.pt", device="cpu", epochs=4, stream=stream)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    last = [line for line in re.split(r"[\r\n]+", text) if line.startswith("4/4")][-1]
    assert re.search(r"4/4 .*loss \S+ +accuracy \S+ +VRA ≈ \S+ +ε \S+ +K ≈ [0-9.e+]+$", last.rstrip())
    assert "…" not in text


def test_a_terminal_gets_a_bar_with_the_numbers_of_the_epoch(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    stream = Terminal()
    train(project(tmp_path, GLORO), tmp_path / "model.pt", device="cpu", epochs=4, stream=stream)
    assert "4/4" in stream.getvalue()
    assert "VRA ≈" in stream.getvalue()
    assert "epoch 4/4" not in stream.getvalue()
