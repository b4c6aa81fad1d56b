"""Rows of a source as tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from auditor.tensors import Inputs, Labels

if TYPE_CHECKING:
    from auditor.sources import Batch


class Tensors(NamedTuple):
    """float32 [rows, *input], int64 [rows] class indices, int64 [rows] row numbers of the file."""

    inputs: Inputs
    labels: Labels
    rows: Labels


def tensors(batch: Batch) -> Tensors:
    """`batch` on the CPU, sharing its memory."""
    return Tensors(torch.from_numpy(batch.inputs), torch.from_numpy(batch.labels), torch.from_numpy(batch.index))
