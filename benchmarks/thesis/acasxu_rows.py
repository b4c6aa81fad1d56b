"""Encounters labelled by public network 1_1, as the thesis made its ACAS Xu data (7.4.4); it does not say how many."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

ENCOUNTERS = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "acasxu" / "rows.py"))
TRAIN, TEST = 60_000, 10_000


def train() -> tuple[np.ndarray, np.ndarray]:
    """Inputs [60000, 5] and advisories."""
    return _labelled(TRAIN, seed=1)


def test() -> tuple[np.ndarray, np.ndarray]:
    """Inputs [10000, 5] and advisories."""
    return _labelled(TEST, seed=2)


def _labelled(rows: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).uniform(ENCOUNTERS["LOW"], ENCOUNTERS["HIGH"], (rows, 5)).astype(np.float32)
    return x, ENCOUNTERS["scores"](ENCOUNTERS["_labeller"](), x).argmin(1)
