"""How long a large spec takes to read: `checks` copies of the EuroSAT spec's checks, valid, and with every check wrong.

    python -m benchmarks.validate [--checks 1000] [--runs 5]

Wall clock in this process with everything imported, the fastest of the runs; then `auditor validate` in a fresh one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from auditor.checks.registry import discover
from auditor.errors import SpecErrors
from auditor.spec import load
from auditor.spec.yaml import read

HEAD = """\
auditor: 1
name: large
model:
  input: {shape: [3, 64, 64], range: [0, 1]}
  classes: [AnnualCrop, Forest, HerbaceousVegetation, Highway, Industrial, Pasture, PermanentCrop, Residential, River]
data: {train: data/train.parquet, test: data/test.parquet}
sets:
  highway+river: {each_class_with: [Highway, River]}
defaults: {over: test, seed: 7}
checks:
"""
KINDS = (
    "type: quality.accuracy\n    require: {{metric: accuracy, at_least: {share}}}",
    "type: robustness.certified\n    epsilon: {epsilon}\n    guarantee: {{top_k: 3}}\n"
    "    require: {{metric: vra, at_least: {share}}}",
    "extends: {parent}\n    guarantee: {{affinity: highway+river}}\n    require: {{at_least: {share}}}",
    "type: robustness.attacked\n    epsilon: {epsilon}\n    attack: {{pgd: {{steps: 50, restarts: 5}}}}\n"
    "    require: {{metric: accuracy_under_attack, at_least: {share}}}",
    "type: influence.criterion\n    quantity: {{class: River, against: Highway}}\n"
    "    distribution: {{linear: {{baseline: mean}}}}\n    units: attribution\n    where: {{label: River}}\n"
    "    require: {{metric: mass, region: {{border: 4}}, at_most: {share}, for_at_least: 0.9}}",
)


def spec(checks: int, *, wrong: bool = False) -> str:
    """A spec of `checks` checks of every kind in turn; `wrong` makes a number of each too large and misspells a key."""
    parts = [HEAD]
    for number in range(checks):
        body = KINDS[number % len(KINDS)].format(
            epsilon=-0.1 if wrong else 0.1 + number / checks,
            share=0.1 + 0.8 * number / checks,
            parent=f"check/{number - 1}",
        )
        parts.append(f"  check/{number}:\n    {body}\n" + ("    sevarity: warn\n" if wrong else ""))
    return "".join(parts)


def fastest(work: Callable[[], object], runs: int) -> float:
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checks", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    types = discover()
    print(f"{'':22} {'lines':>7} {'problems':>9} {'YAML s':>8} {'load s':>8} {'ms/check':>9} {'command s':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for words, checks, wrong in (
            ("one check", 1, False),
            (f"{options.checks:,} checks", options.checks, False),
            (f"{options.checks:,} checks, wrong", options.checks, True),
        ):
            path = Path(folder) / "large.yaml"
            text = spec(checks, wrong=wrong)
            path.write_text(text)

            def problems(path: Path = path) -> int:
                try:
                    load(path, types)
                except SpecErrors as error:
                    return len(error.problems)
                return 0

            found = problems()
            parsing = fastest(lambda path=path: read(path, path.name), options.runs)
            loading = fastest(problems, options.runs)
            command = [sys.executable, "-m", "auditor", "validate", str(path)]
            fresh = fastest(lambda command=command: subprocess.run(command, capture_output=True, check=False), 3)
            print(
                f"{words:22} {text.count(chr(10)):7,} {found:9,} {parsing:8.3f} {loading:8.3f} "
                f"{1000 * loading / checks:9.2f} {fresh:10.3f}"
            )


if __name__ == "__main__":
    main()
