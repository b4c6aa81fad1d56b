"""What enters a bound: a layer, or several that were taken together, with the norm of what it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from auditor.methods.robustness.convolution import Axis, convolution_norm_upper
from auditor.methods.robustness.dense import matrix_norm_upper
from auditor.methods.robustness.elementary import (
    Abs,
    Assumed,
    Concatenation,
    PrependZero,
    Selection,
    Sum,
    Total,
    selection_upper,
)
from auditor.methods.robustness.operator_norms import DROPOUTS, exact_type, layer_norm_upper
from auditor.methods.robustness.origins import Origin
from auditor.methods.robustness.rounding import add_up, multiply_up
from auditor.methods.robustness.supremum import convolution_row_sum_upper, row_sum_upper
from auditor.terms import Norm

SUBNORMAL = 2.0**-1070
"""Above the absolute error of a factor that underflowed."""

SMALLEST = 2.0**-500
"""Factors between this and its inverse multiply without underflow or overflow."""


@dataclass(frozen=True)
class Piece:
    """A layer as it enters the bound; `inputs` are the places of the pieces whose values it takes, −1 the network's
    input.

    `weight`: of a dense layer [out, in], or of a convolution [out, in/groups, *taps] where `axes` says on what. Its
    entries are within a relative `entry_error` of the true ones, and the map they make, besides, within `slack` in the
    norm of the bound. `scale`: the factor of each entry, for a piece that only scales. `index`: which entry goes where,
    −1 none, for one that only rearranges. `origin`: how weight or scale came about.
    """

    name: str
    layer: Any
    inputs: tuple[int, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weight: Tensor | None = None
    axes: tuple[Axis, ...] | None = None
    groups: int = 1
    mode: str = "zeros"
    scale: Tensor | None = None
    index: Tensor | None = None
    entry_error: float = 0.0
    slack: float = 0.0
    origin: Origin | None = None

    @property
    def dense(self) -> bool:
        return self.weight is not None and self.axes is None

    @property
    def transparent(self) -> bool:
        """Whether distances pass through it as they are: every entry stays in place, up to sign and a constant."""
        if self.scale is not None:
            return self.entry_error == 0.0 and bool((self.scale == 1).all())
        if self.index is not None and self.input_shape == self.output_shape:
            return torch.equal(self.index.cpu(), torch.arange(self.index.numel()))
        kind = exact_type(self.layer)
        return kind is nn.Identity or kind in DROPOUTS

    def lipschitz_upper(self, norm: Norm) -> float:
        """Never below the piece's Lipschitz constant; of a sum or a concatenation 1, since it only joins."""
        if self.scale is not None:
            largest = float(self.scale.abs().max()) if self.scale.numel() else 0.0
            return add_up(multiply_up(largest, add_up(1.0, self.entry_error)), SUBNORMAL, self.slack)
        if self.weight is not None:
            return add_up(self._operator_norm(self.weight, norm), self.slack)
        if isinstance(self.layer, Selection):
            return selection_upper(self.layer.index, norm)
        if isinstance(self.layer, Total):
            return self.layer.lipschitz_upper(self.input_shape, norm)
        if isinstance(self.layer, Assumed):
            return self.layer.lipschitz_upper(self.input_shape, norm)
        if isinstance(self.layer, (Abs, PrependZero, Sum, Concatenation)):
            return 1.0
        return layer_norm_upper(self.layer, self.input_shape, norm=norm, node=self.name)

    def _operator_norm(self, weight: Tensor, norm: Norm) -> float:
        if self.axes is None:
            upper = matrix_norm_upper if norm == "l2" else row_sum_upper
            return upper(weight, entry_error=self.entry_error)
        upper = convolution_norm_upper if norm == "l2" else convolution_row_sum_upper
        return upper(weight, self.axes, groups=self.groups, mode=self.mode, entry_error=self.entry_error)
