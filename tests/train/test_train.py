"""`auditor train` as a user meets it: the weights, the note beside them, and what it refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch

from auditor.errors import DataError, ModelError, NotAvailable, UsageError
from auditor.train import train, training_digest

ARCHITECTURE = """
from torch import nn
from auditor.methods.training.layers import MinMax


def build(classes=3):
    return nn.Sequential(nn.Linear(4, 8), MinMax(), nn.Linear(8, classes))
"""
SPEC = """
auditor: 1
name: iris
model:
  architecture: model.py:build
  input: {shape: [4]}
  classes: [setosa, versicolor, virginica]
data:
  train: "sklearn:iris"
training:
  objective: OBJECTIVE
  optimizer: {adam: {lr: {from: 0.01, to: 0.001, after: 0.5}}}
  epochs: 30
  batch_size: 32
defaults: {over: train, seed: 3}
checks:
  accuracy: {type: quality.accuracy, require: {metric: accuracy, at_least: 0.5}}
"""


def project(folder: Path, objective: str = "cross_entropy", *, edit: tuple[str, str] = ("", "")) -> Path:
    (folder / "model.py").write_text(ARCHITECTURE)
    spec = folder / "spec.yaml"
    spec.write_text(SPEC.replace("OBJECTIVE", objective).replace(*edit))
    return spec


def run(spec: Path, name: str = "model.pt", **options) -> tuple[dict, dict[str, torch.Tensor], str]:
    stream = io.StringIO()
    out = spec.parent / "made" / name
    note = train(spec, out, device="cpu", stream=stream, **options)
    weights = torch.load(out, weights_only=True)
    assert json.loads(out.with_suffix(".training.json").read_text()) == note
    return note, weights, stream.getvalue()


def test_trains_notes_and_repeats(tmp_path):
    spec = project(tmp_path, "{gloro: {epsilon: 0.1}}")
    note, weights, shown = run(spec)
    found = note["measured"]["train"]
    assert found["accuracy"] == found["clean_accuracy"] > 0.9
    assert 0.5 < found["vra"] <= found["accuracy"]
    assert found["vra"] <= 1 - found["rejection_rate"]
    assert note["lipschitz_upper"] > 0
    assert "epoch 30/30" in shown
    assert "certified and right at ε 0.1" in shown
    _, again, _ = run(spec, "again.pt")
    _, other, _ = run(spec, "other.pt", seed=4)
    assert all(torch.equal(weights[key], again[key]) for key in weights)
    assert not all(torch.equal(weights[key], other[key]) for key in weights)


def test_the_trades_loss_and_fewer_epochs(tmp_path):
    note, _, _ = run(project(tmp_path, "{gloro: {epsilon: {from: 0.01, to: 0.1}, loss: {trades: 1.0}}}"), epochs=5)
    assert note["epochs"] == 5
    assert note["epsilon"] == pytest.approx(0.1)


def test_safetensors_when_the_name_says_so(tmp_path):
    from safetensors.torch import load_file

    spec = project(tmp_path)
    train(spec, tmp_path / "model.safetensors", device="cpu", epochs=1, stream=io.StringIO())
    assert set(load_file(tmp_path / "model.safetensors")) == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_normalised_inputs_make_the_weights_the_audit_expects(tmp_path):
    edit = (
        "  classes: [setosa",
        "  normalize: {mean: [5.8, 3.1, 3.8, 1.2], std: [0.8, 0.4, 1.8, 0.8]}\n  classes: [setosa",
    )
    spec = project(tmp_path, edit=edit)
    note, _, _ = run(spec)
    from sklearn.datasets import load_iris

    import auditor

    model = auditor.load_model(spec, tmp_path / "made" / "model.pt")
    rows = load_iris()
    with torch.no_grad():
        predicted = model(torch.tensor(rows.data, dtype=torch.float32)).argmax(1).numpy()
    assert (predicted == rows.target).mean() == pytest.approx(note["measured"]["train"]["accuracy"], abs=1e-9)


def test_the_digest_follows_what_the_weights_depend_on(tmp_path):
    spec = project(tmp_path)
    before = training_digest(spec)
    spec.write_text(spec.read_text().replace("at_least: 0.5", "at_least: 0.6"))
    assert training_digest(spec) == before
    spec.write_text(spec.read_text().replace("epochs: 30", "epochs: 31"))
    assert training_digest(spec) != before


@pytest.mark.parametrize(
    ("objective", "named"),
    [
        ("{gloro: {epsilon: 0.1, norm: linf}}", "norm: linf"),
        ("cross_entropy\n  privacy: {noise_multiplier: 1.0, clip: 1.0}", "privacy"),
        ("cross_entropy\n  transforms: [{mark: 1}]", "transforms"),
    ],
)
def test_what_is_still_to_come_is_named(tmp_path, objective, named):
    with pytest.raises(NotAvailable, match=named):
        run(project(tmp_path, objective))


def test_a_spec_without_training_is_refused(tmp_path):
    spec = project(tmp_path)
    text = spec.read_text()
    spec.write_text(text[: text.index("training:")] + text[text.index("defaults:") :])
    with pytest.raises(UsageError, match="no `training`"):
        run(spec)


def test_a_spec_without_a_source_named_train_is_refused(tmp_path):
    spec = project(tmp_path)
    spec.write_text(spec.read_text().replace('train: "sklearn', 'all: "sklearn').replace("over: train", "over: all"))
    with pytest.raises(DataError, match="named `train`"):
        run(spec)


def test_an_architecture_with_other_classes_is_refused(tmp_path):
    spec = project(tmp_path, edit=("  input:", "  arguments: {classes: 2}\n  input:"))
    with pytest.raises(ModelError, match=r"expected \(2, 3\)"):
        run(spec)
