"""What a second audit costs: unchanged, and after only a threshold changed, against the first.

    python -m benchmarks.rerun [--spec SPEC] [--model MODEL] [--edit OLD NEW] [-o FILE]

Every audit is a process of its own on a store that starts empty. `seconds` is the whole process, imports included,
rendering excluded (no format is asked for). Op calls are counted from the run's events; a model call is one of an op
that computes on the device. Without --model the spec's model is trained first.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AUDIT = """
import json, sys
import auditor
from auditor.plan.op import find
from auditor.run.events import TaskStarted

calls = []
spec, model, out = sys.argv[1:]
results = auditor.check(spec, model, out=out, device="cpu", formats=[], as_of=None,
                        listeners=[lambda event: calls.append(event.op) if isinstance(event, TaskStarted) else None])
print(json.dumps({"audit": results.run.seconds, "calls": len(calls), "model": sum(find(name).device for name in calls),
                  "ops": sorted({name.rpartition(":")[2] for name in calls}), "torch": "torch" in sys.modules,
                  "findings": {finding.check: finding.status for finding in results.findings}}))
"""


def audit(spec: Path, model: Path, folder: Path, name: str) -> dict:
    """One audit in a new process, with its wall-clock seconds."""
    environment = os.environ | {"AUDITOR_CACHE": str(folder / "store")}
    started = time.perf_counter()
    command = [sys.executable, "-c", AUDIT, str(spec), str(model), str(folder / name)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return {"seconds": time.perf_counter() - started, **json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--spec", type=Path, default=Path("specs/digits.yaml"))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--edit", nargs=2, default=["at_least: 0.80", "at_least: 0.79"], metavar=("OLD", "NEW"))
    parser.add_argument("-o", "--output", type=Path, help="where the table goes, besides the terminal")
    options = parser.parse_args()
    text = options.spec.read_text("utf-8")
    old, new = options.edit
    if text.count(old) != 1:
        parser.error(f"{old!r} occurs {text.count(old)} times in {options.spec}, expected once")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = options.model or folder / "model.pt"
        if options.model is None:
            subprocess.run([sys.executable, "-m", "auditor", "train", str(options.spec), "-o", str(model)], check=True)
        spec, edited = folder / "spec.yaml", folder / "edited.yaml"
        spec.write_text(text, "utf-8")
        edited.write_text(text.replace(old, new), "utf-8")
        runs = {
            "first": audit(spec, model, folder, "first"),
            "unchanged": audit(spec, model, folder, "second"),
            f"{old} → {new}": audit(edited, model, folder, "edited"),
        }
    lines = [
        "| audit | seconds | of these the audit | op calls | of these of the model | ops |",
        "|---|---|---|---|---|---|",
    ]
    for name, run in runs.items():
        ops = ", ".join(run["ops"]) if len(run["ops"]) < 6 else f"{len(run['ops'])} different"
        lines.append(
            f"| {name} | {run['seconds']:.2f} | {run['audit']:.2f} | {run['calls']} | {run['model']} | {ops or '–'} |"
        )
    table = "\n".join(lines)
    print(table)
    if options.output is not None:
        options.output.write_text(table + "\n", "utf-8")
    if runs["first"]["findings"] != runs["unchanged"]["findings"]:
        sys.exit("the unchanged audit found something else")


if __name__ == "__main__":
    main()
