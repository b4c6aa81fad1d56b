"""Reconstruction of training inputs from the model: gradient inversion (thesis 8.4, eq. 8.1)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from auditor.spec.check import Check
from auditor.spec.rows import Rows


class ModelInversion(Check):
    """Inputs reconstructed from the model resemble rows of {members} no more than rows it never saw.

    The attacker has the weights and climbs a class score from many starts. The non-members are `over`, equally many
    of each class.
    """

    experimental: ClassVar[bool] = True
    metrics: ClassVar[dict[str, str]] = {
        "ssim_member": "mean structural similarity of a reconstruction to its nearest member",
        "ssim_nonmember": "mean structural similarity of a reconstruction to its nearest non-member",
        "excess_ssim": "ssim_member minus ssim_nonmember",
    }
    example: ClassVar[str] = "members: train\nbudget: {metric: excess_ssim, at_most: 0.1}\n"

    type: Literal["privacy.inversion"] = "privacy.inversion"  # pyright: ignore[reportIncompatibleVariableOverride]
    members: Rows
    restarts: PositiveInt = 64
    steps: PositiveInt = 500
    step_size: PositiveFloat = 0.1
    normalised_steps: bool = True
    start: Literal["noise", "mean", "grey"] = "noise"
    parameterisation: Literal["pixels", "fourier"] = "pixels"
    rotations: Annotated[float, Field(ge=0, le=180)] = 0.0
    parameter_noise: NonNegativeFloat = 0.0

    def unavailable(self) -> tuple[str, ...]:
        return ("comes with a later version: gradient inversion",)
