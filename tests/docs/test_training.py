"""The first recipe of docs/training.md is a spec that trains, and the page names every key there is."""

from __future__ import annotations

import io
import re
from pathlib import Path

from auditor.spec import training
from auditor.train import train

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text("utf-8")


def test_the_first_recipe_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    written = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert written is not None
    spec = tmp_path / "digits.yaml"
    spec.write_text(written[1], "utf-8")
    note = train(spec, tmp_path / "model.pt", device="cpu", epochs=12, stream=io.StringIO())
    assert note["measured"]["test"]["vra"] > 0.5
    assert note["guarantee"] == {"top_k": 2}


def test_every_key_is_explained():
    for name in training.Training.model_fields:
        assert f"`{name}`" in PAGE
    for kind in (training.Flip, training.Shift, training.Rotate, training.Zoom, training.Brightness):
        assert re.search(rf"[`{{]{kind.tag}\b", PAGE)
