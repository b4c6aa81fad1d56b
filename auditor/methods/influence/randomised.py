"""The weight-randomised copy of a network, against which a criterion must be able to fail (Adebayo et al. 2018)."""

from __future__ import annotations

import copy

import torch
from torch import nn


def randomised(model: nn.Module, *, seed: int) -> nn.Module:
    """A copy of `model` with every weight drawn anew: by its layer's own initialisation where it has one.

    Parameters of other layers are drawn from a normal distribution with their own mean and standard deviation. Buffers
    that an initialisation resets (running statistics) are reset, others stay; so do the mode, and whether parameters
    take gradients. The global random state is left as it was.
    """
    fresh = copy.deepcopy(model)
    drawn: set[int] = set()
    devices = {parameter.device for parameter in fresh.parameters() if parameter.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)), torch.no_grad():
        torch.manual_seed(seed)
        for module in fresh.modules():
            reset = getattr(module, "reset_parameters", None)
            own = list(module.parameters(recurse=False))
            if callable(reset):
                reset()
            else:
                for parameter in own:
                    deviation = float(parameter.std()) if parameter.numel() > 1 else abs(float(parameter))
                    parameter.normal_(float(parameter.mean()), deviation)
            drawn.update(id(parameter) for parameter in own)
    assert drawn == {id(parameter) for parameter in fresh.parameters()}
    return fresh
