"""`make demo`: trains a certifiable network on scikit-learn's digits, audits it, and says where the report is.

A second run finds the model trained and every check in the cache.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPEC = Path("specs/digits.yaml")


def auditor(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "auditor", *arguments], cwd=ROOT).returncode


def trained(model: Path) -> bool:
    """Whether `model` was trained by the spec as it is now."""
    from auditor.train import training_digest

    note = model.with_suffix(".training.json")
    if not (model.exists() and note.exists()):
        return False
    return json.loads(note.read_text("utf-8"))["digest"] == training_digest(ROOT / SPEC)


def main(folder: str) -> int:
    out = Path(folder)
    model = out.parent / "digits-model.pt"
    (ROOT / model).parent.mkdir(parents=True, exist_ok=True)
    if not trained(ROOT / model):
        status = auditor("train", str(SPEC), "-o", str(model))
        if status:
            return status
    from auditor.report.pdf import available

    formats = ["html", "json", "junit", "sarif", "md"]
    missing = available()
    if missing is None:
        formats.insert(1, "pdf")
    status = auditor("check", str(SPEC), str(model), "-o", str(out), "-f", ",".join(formats))
    if missing is not None:
        print(f"\nNo PDF this time: {missing}")
    return 0 if status in (0, 1) else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "reports/demo"))
