"""How long a person waits before anything happens: `auditor --help`, `auditor validate`, and an unchanged audit.

    python benchmarks/startup.py [--runs 9] [--spec specs/eurosat.yaml] [--model FILE]

Each command runs in a fresh interpreter, one warm-up and then `--runs` times; the median and the fastest count, wall
clock. Also said: whether torch, scipy or pydantic were imported. With `--model`, `auditor check` runs once to fill the
store and is then timed unchanged.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

TARGETS = {"--help": 0.3, "validate": 0.6, "check, unchanged": 2.0}
HEAVY = ("torch", "scipy", "sklearn", "matplotlib", "networkx", "pyarrow", "weasyprint", "pydantic", "numpy")
PROBE = """
import sys
from auditor.cli import main
try:
    main(sys.argv[1:])
finally:
    heavy = [name for name in {heavy!r} if name in sys.modules]
    print("imported:", ", ".join(heavy) or "none of the heavy ones", file=sys.stderr)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--spec", type=Path, default=Path("specs/eurosat.yaml"))
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    commands = {"--help": ["--help"], "validate": ["validate", str(options.spec)]}
    if options.model is not None:
        commands["check, unchanged"] = ["check", str(options.spec), str(options.model), "-q", "-f", "json"]
    bare = timed([sys.executable, "-c", "pass"], options.runs)
    print(f"{'':18} {'median':>8} {'fastest':>8} {'target':>8}")
    print(f"{'bare interpreter':18} {statistics.median(bare):8.3f} {min(bare):8.3f}")
    for name, arguments in commands.items():
        seconds = timed([sys.executable, "-m", "auditor", *arguments], options.runs)
        median = statistics.median(seconds)
        word = "" if median <= TARGETS[name] else "  MISSED"
        print(f"{name:18} {median:8.3f} {min(seconds):8.3f} {TARGETS[name]:8.1f}{word}  {imported(arguments)}")


def timed(command: list[str], runs: int) -> list[float]:
    """Wall-clock seconds of each run, after one that is not counted."""
    seconds = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        code = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
        if code not in (0, 1):
            raise SystemExit(f"{' '.join(command)} ended with exit {code}: nothing to time")
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def imported(arguments: list[str]) -> str:
    """Which heavy libraries a command imports."""
    probe = [sys.executable, "-c", PROBE.format(heavy=HEAVY), *arguments]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1]


if __name__ == "__main__":
    main()
