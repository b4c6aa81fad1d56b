"""Every layer that has a bound has a proof here too: none that a run certifies is left unverified."""

import math

import pytest
import torch
from torch import nn

from auditor.certificate.verify import verify
from auditor.methods.layers import GroupSort, Householder, MinMax
from auditor.methods.robustness.operator_norms import DROPOUTS, SUPPORTED
from tests.certificate.test_verify import prove, write
from tests.methods.robustness.random_layers import (
    random_max_pooling,
    random_padding,
    random_pooling,
    random_upsampling,
)

IMAGE, LINE, VOLUME = (2, 6, 5), (2, 9), (2, 4, 3, 4)


def turned(channels):
    layer = Householder(channels)
    nn.init.uniform_(layer.theta, -3, 3)
    return layer


def normalising(kind):
    layer = kind(2)
    nn.init.uniform_(layer.running_var, 0.2, 3)
    nn.init.uniform_(layer.weight, 0.5, 2)
    return layer


BY_AXES = {1: LINE, 2: IMAGE, 3: VOLUME}
KINDS = {
    nn.Linear: [(nn.Linear(5, 4), (5,)), (nn.Linear(5, 4, bias=False), (3, 5))],
    MinMax: [(MinMax(1), IMAGE)],
    GroupSort: [(GroupSort(2), IMAGE)],
    Householder: [(turned(2), IMAGE)],
    nn.Identity: [(nn.Identity(), IMAGE)],
    nn.Flatten: [(nn.Flatten(), IMAGE)],
    nn.Unflatten: [(nn.Unflatten(1, (2, 3)), (6, 4))],
    nn.PixelShuffle: [(nn.PixelShuffle(2), (8, 3, 2))],
    nn.PixelUnshuffle: [(nn.PixelUnshuffle(2), (2, 4, 6))],
    nn.ChannelShuffle: [(nn.ChannelShuffle(2), (4, 3, 3))],
    nn.UpsamplingNearest2d: [(nn.UpsamplingNearest2d(scale_factor=2), IMAGE)],
    nn.UpsamplingBilinear2d: [(nn.UpsamplingBilinear2d(scale_factor=2), IMAGE)],
    nn.Upsample: [
        (nn.Upsample(scale_factor=3), IMAGE),
        (nn.Upsample(size=(4, 9), mode="bilinear"), IMAGE),
        (nn.Upsample(scale_factor=1.7, mode="linear"), LINE),
        (nn.Upsample(scale_factor=2, mode="trilinear", align_corners=True), VOLUME),
    ],
    nn.ReLU: [(nn.ReLU(), IMAGE)],
    nn.ReLU6: [(nn.ReLU6(), IMAGE)],
    nn.Hardtanh: [(nn.Hardtanh(-2, 0.5), IMAGE)],
    nn.Tanh: [(nn.Tanh(), IMAGE)],
    nn.Softsign: [(nn.Softsign(), IMAGE)],
    nn.Tanhshrink: [(nn.Tanhshrink(), IMAGE)],
    nn.Softshrink: [(nn.Softshrink(0.3), IMAGE)],
    nn.Threshold: [(nn.Threshold(0.4, 0.4), IMAGE)],
    nn.LogSigmoid: [(nn.LogSigmoid(), IMAGE)],
    nn.Softplus: [(nn.Softplus(0.7, threshold=40), IMAGE), (nn.Softplus(-2, threshold=35), IMAGE)],
    nn.Sigmoid: [(nn.Sigmoid(), IMAGE)],
    nn.Hardsigmoid: [(nn.Hardsigmoid(), IMAGE)],
    nn.Hardswish: [(nn.Hardswish(), IMAGE)],
    nn.LeakyReLU: [(nn.LeakyReLU(-1.4), IMAGE)],
    nn.PReLU: [(nn.PReLU(2, 1.3), IMAGE)],
    nn.RReLU: [(nn.RReLU(0.9, 1.7), IMAGE), (nn.RReLU(-0.3, 0.4), IMAGE)],
    nn.ELU: [(nn.ELU(1.6), IMAGE)],
    nn.CELU: [(nn.CELU(0.2), IMAGE)],
    nn.SELU: [(nn.SELU(), IMAGE)],
    nn.GELU: [(nn.GELU(), IMAGE), (nn.GELU("tanh"), IMAGE)],
    nn.SiLU: [(nn.SiLU(), IMAGE)],
    nn.Mish: [(nn.Mish(), IMAGE)],
    **{kind: [(kind(), LINE if kind is nn.Dropout1d else VOLUME)] for kind in DROPOUTS if kind is not nn.Dropout2d},
    nn.Dropout2d: [(nn.Dropout2d(), IMAGE)],
    **{kind: [(normalising(kind), shape)] for kind, shape in ((nn.BatchNorm1d, LINE), (nn.BatchNorm2d, IMAGE),
                                                              (nn.BatchNorm3d, VOLUME))},
}  # fmt: skip
for _axes, _shape in BY_AXES.items():
    for _name, _arguments in {
        "Conv": (2, 3, 3), "ConvTranspose": (2, 3, 2), "AvgPool": (2,), "AdaptiveAvgPool": (3,), "MaxPool": (2, 1),
        "AdaptiveMaxPool": (3,), "ZeroPad": (1,), "ConstantPad": (1, 2.5), "ReflectionPad": (1,),
        "ReplicationPad": (2,), "CircularPad": (1,),
    }.items():  # fmt: skip
        KINDS[getattr(nn, f"{_name}{_axes}d")] = [(getattr(nn, f"{_name}{_axes}d")(*_arguments), _shape)]

EXAMPLES = [(kind.__name__, layer, shape) for kind, examples in KINDS.items() for layer, shape in examples]
DRAWN = {
    each.__name__: each for each in (random_pooling, random_max_pooling, random_padding, random_upsampling)
}  # fmt: skip


def headed(layer, shape):
    """A network of that layer between a scaling, which nothing swallows, and a dense layer."""
    with torch.no_grad():
        width = math.prod(
            layer.eval()(torch.zeros(2, *shape, dtype=next(layer.parameters(), torch.zeros(())).dtype)).shape[1:]
        )
    return nn.Sequential(nn.Tanh(), layer, nn.Tanh(), nn.Flatten(), nn.Linear(width, 3)), shape


def test_every_supported_layer_has_an_example():
    assert set(KINDS) == SUPPORTED


@pytest.mark.parametrize(("name", "layer", "shape"), EXAMPLES, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(EXAMPLES)])
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_every_supported_layer_is_proved_again(tmp_path, name, layer, shape, norm):
    proof, tensors = prove(lambda: headed(layer, shape), norm=norm)
    found = verify(*write(tmp_path, proof, tensors))
    assert found.refuted == found.unverified == ()
    assert found.layers == len(proof.layers)
    for place, stated in enumerate(proof.layers):
        lower = stated.model_copy(update={"lipschitz_upper": stated.lipschitz_upper * (1 - 1e-6)})
        layers = (*proof.layers[:place], lower, *proof.layers[place + 1 :])
        assert verify(*write(tmp_path, proof.model_copy(update={"layers": layers}), tensors)).refuted


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_layers_that_only_have_a_geometry_are_proved_whatever_it_is(tmp_path, draw, norm):
    generator = torch.Generator().manual_seed(3)
    for _ in range(40):
        layer, shape = draw(generator)
        proof, tensors = prove(lambda: headed(layer, shape), norm=norm)  # noqa: B023
        found = verify(*write(tmp_path, proof, tensors))
        assert found.stands, (layer, shape, found.refuted, found.unverified)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("Softplus", {"beta": 1.0, "threshold": 20.0}),
        ("CELU", {"alpha": -1.0}),
        ("Softshrink", {"lambd": -0.5}),
        ("Threshold", {"threshold": 0.0, "value": 1.0}),
    ],
)
def test_a_function_that_jumps_is_refuted(tmp_path, kind, options):
    proof, tensors = prove(lambda: headed(nn.ReLU(), IMAGE))
    odd = proof.layers[1].model_copy(update={"kind": kind, "options": options})
    layers = (proof.layers[0], odd, *proof.layers[2:])
    (fault,) = verify(*write(tmp_path, proof.model_copy(update={"layers": layers}), tensors)).refuted
    assert kind in fault
