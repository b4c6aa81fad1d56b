"""A small project to train: a spec beside the architecture it names, on iris."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch

from auditor.train import note_path, train

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
sets:
  alike: [versicolor, virginica]
defaults: {over: train, seed: 3}
checks:
  accuracy: {type: quality.accuracy, require: {metric: accuracy, at_least: 0.5}}
"""


def project(folder: Path, objective: str = "cross_entropy", *edits: tuple[str, str]) -> Path:
    """The spec, with its parts replaced as `edits` say."""
    (folder / "model.py").write_text(ARCHITECTURE)
    text = SPEC.replace("OBJECTIVE", objective)
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    spec = folder / "spec.yaml"
    spec.write_text(text)
    return spec


def run(spec: Path, name: str = "model.pt", **options: Any) -> tuple[dict[str, Any], dict[str, torch.Tensor], str]:
    """The note, the weights and what was shown."""
    stream = io.StringIO()
    out = spec.parent / "made" / name
    note = train(spec, out, device="cpu", stream=stream, **options)
    weights = torch.load(out, weights_only=True)
    assert json.loads(note_path(out).read_text("utf-8")) == note
    return note, weights, stream.getvalue()
