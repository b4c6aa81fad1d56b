"""The ops of `method: smoothing`: votes by chunks of rows, which resume and spread, and what they certify together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from auditor.plan.op import op
from auditor.records import Judgement
from auditor.spec.builder import Builder, Ref
from auditor.spec.method import Smoothing

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.checks.robustness.certified import CertifiedRobustness
    from auditor.methods.robustness.smoothing import Votes

CHUNK = 32
"""Rows of one task: slow work that is lost at most when a run is stopped."""
BATCH_ELEMENTS = 256 * 3 * 64 * 64


def plan_smoothing(build: Builder, check: CertifiedRobustness, method: Smoothing) -> Ref[Judgement]:
    """The tasks that decide `check` by sampling: one a chunk of the source's rows, whichever of them are selected."""
    over = check.over
    assert over is not None
    rows, labels, inputs, index = (
        build.selected(over, check.where), build.labels(over), build.inputs(over), build.index(over)
    )  # fmt: skip
    elements = 1
    for size in build.input_shape:
        elements *= size
    total = build.count(over) or 0
    sigma = method.sigma or check.epsilon
    chunks = tuple(
        build.add(
            sample_votes,
            model=build.model(),
            inputs=inputs,
            rows=rows,
            index=index,
            start=start,
            stop=min(start + CHUNK, total),
            sigma=sigma,
            first=method.first,
            samples=method.samples,
            seed=check.seed,
            batch_size=min(4096, max(64, BATCH_ELEMENTS // elements)),
        )
        for start in range(0, total, CHUNK)
    )
    return build.add(
        judge_votes, check=check, method=method, sigma=sigma, chunks=chunks, labels=labels, index=index, rows=rows,
        classes=build.classes,
    )  # fmt: skip


@op(version=1, device=True)
def sample_votes(
    *,
    model: Any,
    inputs: Tensor,
    rows: Tensor,
    index: Tensor,
    start: int,
    stop: int,
    sigma: float,
    first: int,
    samples: int,
    seed: int,
    batch_size: int,
    device: str,
    progress: Callable[[int, int], None],
) -> Votes:
    """The votes on those selected rows whose positions lie from `start` to `stop`, in order."""
    from auditor.methods.robustness.smoothing import votes

    mine = rows[(rows >= start) & (rows < stop)]
    return votes(
        model,
        inputs[mine].to(device),
        index[mine],
        sigma=sigma,
        first=first,
        samples=samples,
        seed=seed,
        batch_size=batch_size,
        progress=progress,
    )


@op(version=1)
def judge_votes(
    *,
    check: CertifiedRobustness,
    method: Smoothing,
    sigma: float,
    chunks: tuple[Votes, ...],
    labels: Tensor,
    index: Tensor,
    rows: Tensor,
    classes: tuple[str, ...],
) -> Judgement:
    import torch

    from auditor.checks.robustness.smoothing_judgement import smoothed_judgement
    from auditor.methods.robustness.smoothing import Votes, certificates

    empty = torch.empty(0, dtype=torch.int64)
    found = Votes(
        torch.cat([empty, *(chunk.chosen for chunk in chunks)]),
        torch.cat([empty, *(chunk.agreeing for chunk in chunks)]),
    )
    return smoothed_judgement(
        check,
        method=method,
        sigma=sigma,
        smoothed=certificates(found, sigma=sigma, samples=method.samples, alpha=method.alpha),
        label=labels[rows].numpy(),
        index=index[rows].numpy(),
        classes=classes,
    )
