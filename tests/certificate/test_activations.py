"""Bounds of the activations made for certification are proved again, and refuted where they are too small."""

import pytest
import torch
from torch import nn

from auditor.certificate.verify import verify
from auditor.methods.training.layers import GroupSort, Householder, LinearResidual
from tests.certificate.test_verify import prove, write


def network() -> tuple[nn.Module, tuple[int, ...]]:
    torch.manual_seed(0)
    turned = Householder(8)
    nn.init.uniform_(turned.theta, -3, 3)
    layers = [nn.Conv2d(2, 8, 3, padding=1), GroupSort(4), LinearResidual(8), turned, nn.Flatten(), nn.Linear(200, 3)]
    return nn.Sequential(*layers), (2, 5, 5)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_activations_are_proved_again(tmp_path, norm):
    proof, tensors = prove(network, norm=norm)
    assert {"GroupSort", "Householder", "MinMax"} <= {layer.kind for layer in proof.layers}
    found = verify(*write(tmp_path, proof, tensors))
    assert found.stands
    assert found.refuted == found.unverified == ()
    for place, layer in enumerate(proof.layers):
        lower = layer.model_copy(update={"lipschitz_upper": layer.lipschitz_upper * (1 - 1e-6)})
        layers = (*proof.layers[:place], lower, *proof.layers[place + 1 :])
        assert verify(*write(tmp_path, proof.model_copy(update={"layers": layers}), tensors)).refuted
