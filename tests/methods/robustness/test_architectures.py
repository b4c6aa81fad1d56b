"""What people train has a bound: each architecture of `benchmarks.architectures`, narrow, against its own gradients."""

import math

import pytest
import torch

from auditor.methods.robustness import bound_model
from benchmarks.architectures import ARCHITECTURES, SHAPE, made


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_real_architectures_have_a_bound_that_their_gradients_keep(name):
    model = made(name, width=8)
    bounds = bound_model(model, SHAPE)
    point = torch.rand(SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model.double()
    jacobian = torch.autograd.functional.jacobian(lambda x: model(x[None])[0], point).flatten(1)
    slopes = (jacobian[:, None] - jacobian[None]).norm(dim=2)
    assert bool((slopes <= bounds.margins).all())
    assert 0 < float(slopes.max()) < bounds.network < math.inf
    # What the error of computing the logits takes from a radius: at most a millionth of a unit of the input.
    error = float(bounds.error.at(torch.tensor([10.0], dtype=torch.float64))[0])
    assert 0 < error < 1e-6 * bounds.network
