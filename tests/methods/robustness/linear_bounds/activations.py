"""Every supported activation, in several configurations."""

from torch import nn

from auditor.methods.robustness.elementary import Abs


def reshaped() -> nn.ReLU6:
    """With other kinks than it was made with: torch looks at them at every use."""
    layer = nn.ReLU6()
    layer.min_val, layer.max_val = -2.0, 3.0
    return layer


CONFIGURED = [
    nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.Hardtanh(-2.0, 0.5), nn.Tanh(), nn.Softsign(), nn.Tanhshrink(),
    nn.Softshrink(0.3), nn.Threshold(0.5, 0.5), nn.LogSigmoid(), nn.Softplus(2.0, 40), nn.Softplus(-0.5, 50),
    nn.Sigmoid(), nn.Hardsigmoid(), nn.Hardswish(), nn.LeakyReLU(0.1), nn.LeakyReLU(-3.0), nn.PReLU(3, 1.5),
    nn.PReLU(), nn.RReLU().eval(), nn.RReLU(-4.0, 1.0).eval(), nn.ELU(), nn.ELU(2.5), nn.ELU(-1.5), nn.CELU(0.5),
    nn.CELU(3.0), nn.SELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish(), Abs(), reshaped(),
]  # fmt: skip
