"""Small ops for the tests of the scheduler, most without torch, so that their processes start fast.

Each call appends a line to the file that AUDITOR_TEST_CALLS names.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from auditor.errors import CertificateBroken, Unsupported
from auditor.plan.op import op
from auditor.records import EvidenceKind, Finding, Judgement, Status

GIVEN: list[weakref.ref[np.ndarray]] = []
"""What `broken` was given in this process."""


def called(name: str) -> None:
    path = os.environ.get("AUDITOR_TEST_CALLS")
    if path:
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(name + "\n")


class Pair(NamedTuple):
    values: np.ndarray
    total: float


@op(version=1, stored=False)
def numbers(*, count: int, seed: int) -> np.ndarray:
    """Unstored, like a data tensor."""
    called("numbers")
    return np.random.default_rng(seed).normal(size=count)


@op(version=1)
def slow(*, steps: int, progress: Callable[[int, int], None]) -> int:
    """A tenth of a second a step."""
    for step in range(steps):
        progress(step, steps)
        time.sleep(0.1)
    called("slow")
    return steps


@op(version=1)
def scale(
    *,
    x: np.ndarray,
    by: float,
    pause: float = 0.0,
    batch_size: int = 16,
    device: str,
    progress: Callable[[int, int], None],
) -> Pair:
    called(f"scale {by}")
    time.sleep(pause)
    progress(len(x), len(x))
    assert device == "cpu"
    return Pair(x * by, float((x * by).sum()))


@op(version=1)
def combine(*, parts: list[Pair], pause: float = 0.0) -> pa.Table:
    called("combine")
    time.sleep(pause)
    return pa.table({"index": np.arange(len(parts[0].values)), "sum": np.sum([part.values for part in parts], axis=0)})


@op(version=1, device=True)
def draw_global(*, count: int, seed: int) -> Any:
    """Draws from torch's global generator, which a good op would not."""
    import torch

    called("draw_global")
    return torch.randn(count)


@op(version=1)
def judge(*, table: pa.Table, at_least: float, check: str) -> Judgement:
    called(f"judge {at_least}")
    value = float(table["sum"].to_numpy().mean())
    status = Status.PASS if value >= at_least else Status.FAIL
    finding = Finding(
        check=check,
        type="test.sum",
        status=status,
        evidence_kind=EvidenceKind.MEASURED,
        claim="The mean is large.",
        metric="mean",
        value=value,
        interval=(float("-inf"), value),
        threshold={"at_least": at_least},
        metrics={"mean": value, "sd": float("nan")},
    )
    return Judgement(finding, {"points": table}, {"dot": np.zeros((2, 2), np.uint8)})


@op(version=1)
def broken(*, x: Any, kind: str) -> Any:
    called(f"broken {kind}")
    if isinstance(x, np.ndarray):
        GIVEN.append(weakref.ref(x))
    if kind == "unsupported":
        raise Unsupported("no bound for softmax is known", node="blocks.3", remedy="remove it")
    if kind == "certificate":
        raise CertificateBroken("row 3 flipped")
    raise ValueError("two\nlines")


@op(version=1)
def after(*, x: Any) -> Any:
    called("after")
    return 1


@op(version=1, device=True)
def hungry(*, x: Any, fits: int, batch_size: int, how: str, device: str) -> dict[str, int]:
    """Runs out of memory until the batch is no larger than `fits`."""
    import torch

    called(f"hungry {batch_size}")
    if batch_size > fits:
        if how == "cpu":
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes")
        raise (torch.OutOfMemoryError("CUDA out of memory.") if how == "cuda" else MemoryError())
    return {"batch": batch_size}


@op(version=1)
def die(*, x: Any, marker: str, deaths: int) -> int:
    """Kills its own process the first `deaths` times."""
    with open(marker, "a+", encoding="utf-8") as stream:
        stream.seek(0)
        before = len(stream.read())
        stream.write("x")
    if before < deaths:
        os.kill(os.getpid(), 9)
    return before


@op(version=1)
def interrupt(*, x: Any) -> int:
    raise KeyboardInterrupt


@op(version=1)
def unstorable(*, x: Any) -> Any:
    return object()
