"""Forward passes that symbolic tracing cannot follow are exported, under the same safeguards."""

import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from auditor.errors import Unsupported
from auditor.methods.robustness import bound_model
from auditor.methods.robustness.building import Builder
from auditor.methods.robustness.exporting import calls
from auditor.methods.robustness.graph import Network, Node, network


class ByShape(nn.Module):
    """What tracing cannot follow, whatever `run` does then: a branch on the input's height."""

    def __init__(self, run, *layers):
        super().__init__()
        self.layers, self.run = nn.ModuleList(layers), run
        self.register_buffer("weights", torch.linspace(0.5, 1, 4).reshape(4, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, x):
        if x.shape[-1] % 2:
            x = functional.pad(x, (0, 1))
        return self.run(self, x)


def convolutional(self, x):
    conv, norm, up, head = self.layers
    x = functional.max_pool2d(norm(conv(x)).relu(), 2)
    y = functional.avg_pool2d(functional.leaky_relu(x, 0.3), 3, 1, 1) * self.weights - 0.25 * x
    y = torch.cat((y, x.flip(1)), 1)[:, 1:7:2]
    y = functional.interpolate(up(y), scale_factor=2.0).select(3, 1).transpose(1, 2)
    y = functional.hardtanh(functional.gelu(y, approximate="tanh"), -1, 2)
    return head(functional.dropout(y, training=False).flatten(1))


def regrouped(self, x):
    """As einops would: sizes taken apart and put together again by Python."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height // 2, 2, width // 2, 2)
    x = x.permute(0, 1, 3, 5, 2, 4).reshape(batch, channels * 4, height // 2, width // 2)
    x += 1
    return self.layers[0](torch.stack(x.chunk(2, 1), 1).sum(1).mean((2, 3)))


def convolutional_net():
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4)
    norm.weight.data.uniform_(-2, 2)
    norm.running_var = torch.rand(4) + 0.5
    model = ByShape(
        convolutional, nn.Conv2d(3, 4, 3, padding=1), norm, nn.ConvTranspose2d(3, 2, 2, stride=2), nn.Linear(32, 5)
    )
    return model, (3, 8, 7)


def regrouped_net():
    torch.manual_seed(0)
    return ByShape(regrouped, nn.Linear(4, 3)), (2, 6, 5)


def jacobian_norm(model, shape):
    model.double()
    x = torch.rand(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    jacobian = torch.autograd.functional.jacobian(model, x)
    return float(torch.linalg.matrix_norm(jacobian.reshape(-1, math.prod(shape)), 2))


@pytest.mark.parametrize("made", [convolutional_net, regrouped_net])
def test_networks_that_branch_on_shapes_have_a_bound(made):
    model, shape = made()
    bound = bound_model(model, shape)
    assert jacobian_norm(model, shape) <= bound.network < math.inf
    with pytest.raises(Exception, match="symbolically traced"):
        torch.fx.symbolic_trace(model)


def test_a_linear_network_has_its_own_norm():
    """Regrouping, adding and averaging are linear: the bound is no more than the parts' product."""
    model, shape = regrouped_net()
    exact = jacobian_norm(model, shape)
    assert exact <= bound_model(model, shape).network <= exact * 3


def decomposed(made):
    """The network of a program in core ATen, which older releases of torch export."""
    model, shape = made()
    model.double()
    device = torch.device("cpu")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        example = torch.zeros(3, *shape, dtype=torch.float64)
        sizes = ({0: torch.export.Dim("batch", min=2, max=64)},)
        program = torch.export.export(model, (example,), dynamic_shapes=sizes, strict=False).run_decompositions()
        if any("_to_copy" in str(node.target) for node in program.graph.nodes):
            pytest.skip("torch 2.6 makes casts and index arithmetic of up-sampling")
        built = Builder(model, shape, device, {}).build(calls(model, program))
    return model, shape, Network(tuple(Node(*each) for each in built.nodes[: built.result + 1]))


@pytest.mark.parametrize("made", [convolutional_net, regrouped_net])
def test_core_aten_is_the_same_network(made):
    model, shape, found = decomposed(made)
    x = torch.rand(4, *shape, dtype=torch.float64)
    torch.testing.assert_close(found(x), model(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(network(model, shape)(x), model(x), rtol=1e-12, atol=1e-12)


def first_row(self, x):
    return self.layers[0](x.flatten(1)) if len(x) > 1 else 2 * self.layers[0](x.flatten(1))


def a_certain_batch(self, x):
    return self.layers[0](x.flatten(1)) * (100 if len(x) == 256 else 1)


def mixed(self, x):
    return self.layers[0](x.flatten(1) - x.flatten(1).mean(0))


def on_values(self, x):
    return self.layers[0](x.flatten(1)) * (2 if x.sum() > 0 else 1)


def made_in_forward(self, x):
    return self.layers[0](x.flatten(1)) * torch.tensor([1.0, 2.0, 3.0], dtype=x.dtype)


def squared(self, x):
    return self.layers[0](x.flatten(1).square())


def counted(self, x):
    self.weights += 1
    return self.layers[0](x.flatten(1))


def rounded(self, x):
    return self.layers[0](x.flatten(1).float().to(x.dtype))


@pytest.mark.parametrize(
    "forward", [first_row, a_certain_batch, mixed, on_values, made_in_forward, squared, counted, rounded]
)
def test_what_is_not_one_function_of_each_input_is_refused(forward):
    torch.manual_seed(0)
    with pytest.raises(Unsupported) as refused:
        bound_model(ByShape(forward, nn.Linear(16, 3)), (1, 4, 4))
    assert refused.value.node
    assert refused.value.remedy
