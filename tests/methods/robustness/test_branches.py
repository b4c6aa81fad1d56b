"""Networks with branches: what is linear in one value is one kernel, what shares memory is read as it is, and real
architectures have a bound.
"""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from auditor.errors import Unsupported
from auditor.methods.robustness import bound_model, margin_bounds


class Function(nn.Module):
    """A forward pass given as a function of the module and its input, around a layer and a head."""

    def __init__(self, forward, layer, head):
        super().__init__()
        self.layer, self.head, self.run = layer, head, forward
        self.double().eval().requires_grad_(False)

    def forward(self, x):
        return self.run(self, x)


def unrolled(function, shape):
    """The matrix of an affine function, [outputs, inputs]."""
    size = math.prod(shape)
    eye = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
    with torch.no_grad():
        return (function(eye) - function(torch.zeros(1, *shape, dtype=torch.float64))).flatten(1).T


def exact_margins(function, shape, norm="l2"):
    rows = unrolled(function, shape)
    return (rows[:, None] - rows[None]).norm(p=2 if norm == "l2" else 1, dim=2)


GEOMETRIES = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 5, "padding": 2, "groups": 2},
    {"kernel_size": 3, "padding": 2, "dilation": 2},
    {"kernel_size": 3, "padding": 1, "padding_mode": "circular"},
    {"kernel_size": 2, "padding": "same"},
    {"kernel_size": (3, 1), "padding": (1, 0)},
    {"kernel_size": 1},
]


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("how", ["x + conv(x)", "conv(x) - x", "0.3 * conv(x) + bn(x)", "conv(x) + conv3(x)"])
def test_linear_branches_are_one_kernel(geometry, how):
    """As close to the norm of the unrolled sum as the frequency grid of its kernel comes."""
    torch.manual_seed(0)
    conv, other, bn = nn.Conv2d(4, 4, **geometry), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
    mode = geometry.get("padding_mode", "zeros")
    other.padding_mode = mode
    if mode != "zeros":
        other = nn.Conv2d(4, 4, 3, padding=1, padding_mode=mode)
    with torch.no_grad():
        conv.weight.mul_(2)
        bn.weight.normal_()
        bn.running_var.uniform_(0.5, 2)
    forward = {
        "x + conv(x)": lambda self, x: self.layer[0](x).add(x).flatten(1),
        "conv(x) - x": lambda self, x: (self.layer[0](x) - x).flatten(1),
        "0.3 * conv(x) + bn(x)": lambda self, x: (0.3 * self.layer[0](x) + self.layer[2](x)).flatten(1),
        "conv(x) + conv3(x)": lambda self, x: (self.layer[0](x) + self.layer[1](x)).flatten(1),
    }[how]
    model = Function(forward, nn.ModuleList([conv, other, bn]), nn.Identity())
    exact = float(torch.linalg.svdvals(unrolled(model, (4, 12, 12)))[0])
    bound = bound_model(model, (4, 12, 12)).network
    assert exact <= bound <= exact * 1.12


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_residual_dense_layer_is_one_matrix(norm):
    torch.manual_seed(0)
    model = Function(lambda self, x: self.head(x + self.layer(x)), nn.Linear(6, 6), nn.Linear(6, 3))
    inner = torch.eye(6, dtype=torch.float64) + model.layer.weight
    order = 2 if norm == "l2" else math.inf
    below = float(torch.linalg.matrix_norm(inner, order))
    rows = model.head.weight
    expected = below * (rows[:, None] - rows[None]).norm(p=2 if norm == "l2" else 1, dim=2)
    torch.testing.assert_close(margin_bounds(model, (6,), norm), expected, rtol=1e-8, atol=0)


def test_a_value_less_itself_is_nothing():
    model = Function(lambda self, x: self.head(x - x), nn.Identity(), nn.Linear(4, 2))
    assert float(margin_bounds(model, (4,)).max()) <= 1e-300


def test_adding_a_value_three_times_counts_three_times():
    """x + x thrice multiplies by 8."""

    def forward(self, x):
        for _ in range(3):
            x = x + x
        return self.head(x)

    model = Function(forward, nn.Identity(), nn.Linear(4, 2))
    exact = exact_margins(model, (4,))
    constants = margin_bounds(model, (4,))
    assert bool((constants >= exact * (1 - 1e-15)).all())
    torch.testing.assert_close(constants, exact, rtol=1e-9, atol=0)


def test_branches_apart_add_up_and_concatenated_ones_add_squares():
    torch.manual_seed(0)
    added = Function(lambda self, x: self.layer(x).relu() + x, nn.Linear(4, 4), nn.Identity())
    joined = Function(lambda self, x: torch.cat((self.layer(x).relu(), x), 1), nn.Linear(4, 4), nn.Identity())
    norm = float(torch.linalg.matrix_norm(added.layer.weight, 2))
    assert bound_model(added, (4,)).network == pytest.approx(norm + 1, rel=1e-8)
    norm = float(torch.linalg.matrix_norm(joined.layer.weight, 2))
    assert bound_model(joined, (4,)).network == pytest.approx(math.hypot(norm, 1), rel=1e-8)
    rows = float(torch.linalg.matrix_norm(joined.layer.weight, math.inf))
    assert bound_model(joined, (4,), "linf").network == pytest.approx(max(rows, 1), rel=1e-12)


def test_two_heads_added_have_the_margins_of_their_sum():
    torch.manual_seed(0)
    model = Function(lambda self, x: self.head(x) + self.layer(x), nn.Linear(6, 3), nn.Linear(6, 3))
    torch.testing.assert_close(margin_bounds(model, (6,)), exact_margins(model, (6,)), rtol=1e-8, atol=0)


@pytest.mark.parametrize(
    ("operation", "factor"),
    [
        (lambda x: x.repeat(1, 3, 1, 1), math.sqrt(3)),
        (lambda x: x[:, :, ::2], 1.0),
        (lambda x: x.unsqueeze(1).expand(-1, 5, -1, -1, -1), math.sqrt(5)),
        (lambda x: torch.index_select(x, 1, torch.tensor([0, 0, 1])), math.sqrt(2)),
        (lambda x: functional.pad(x, (1, 1, 2, 0), value=3.0), 1.0),
        (lambda x: functional.pad(x, (1, 1, 1, 1), mode="reflect"), 2.0),
        (lambda x: functional.interpolate(x, scale_factor=2), 2.0),
        (lambda x: functional.pixel_unshuffle(x, 2), 1.0),
        (lambda x: x.mean((2, 3)), 1 / 4),
        (lambda x: x.sum(1), math.sqrt(2)),
        (lambda x: functional.adaptive_avg_pool2d(x, 1), 1 / 4),
        (lambda x: torch.cat((x[:, :1], x[:, :1]), 1), math.sqrt(2)),
        (lambda x: x.unfold(2, 2, 1), math.sqrt(2)),
        (lambda x: x.permute(0, 2, 3, 1) @ torch.diag(torch.tensor([3.0, 2.0], dtype=torch.float64)), 3.0),
        (lambda x: x.movedim(1, -1).reshape(x.shape[0], x.shape[2] * x.shape[3], -1), 1.0),
    ],
)
def test_rearrangements_and_averages_have_their_exact_constant(operation, factor):
    model = Function(lambda self, x: operation(x).flatten(1), nn.Identity(), nn.Identity())
    exact = float(torch.linalg.svdvals(unrolled(model, (2, 4, 4)))[0])
    assert exact == pytest.approx(factor, rel=1e-12)
    assert exact * (1 - 1e-15) <= bound_model(model, (2, 4, 4)).network <= exact * (1 + 1e-9)


def reads_what_was_changed(self, x):
    y = self.layer(x)
    z = y.view(-1, 2, 2)
    y += 1000 * y
    return self.head(z.flatten(1))


def changes_through_a_view(self, x):
    y = self.layer(x)
    y[:, :2].mul_(10)
    return self.head(y)


def adds_in_place_where_probes_do_not_look(self, x):
    y = self.layer(x)
    z = y
    z += functional.relu(y - 1e6)
    return self.head(y)


def sets_data(self, x):
    y = self.layer(x)
    y.data = 10 * y
    return self.head(y)


def assigns_entries(self, x):
    y = self.layer(x)
    y[:, 0] = 5 * y[:, 0]
    return self.head(y)


def changes_its_weight(self, x):
    self.head.weight.mul_(2)
    return self.head(x)


def draws_noise(self, x):
    return self.head(x + torch.rand(4, dtype=x.dtype))


def reads_the_batch(self, x):
    return self.head(x * x.shape[0])


def divides_by_its_norm(self, x):
    return self.head(functional.normalize(x))


def attends(self, x):
    return self.head(functional.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None])[:, 0])


def gates(self, x):
    return self.head(self.layer(x) * x)


def peaks(self, x):
    return self.head(torch.maximum(self.layer(x), x))


def computes_its_weight(self, x):
    return functional.linear(x, self.head.weight.exp())


@pytest.mark.parametrize(
    "forward",
    [
        reads_what_was_changed, changes_through_a_view, adds_in_place_where_probes_do_not_look, sets_data,
        assigns_entries, changes_its_weight, draws_noise, reads_the_batch, divides_by_its_norm, attends, gates, peaks,
        computes_its_weight,
    ],
)  # fmt: skip
def test_what_cannot_be_bounded_is_refused_by_name_with_a_remedy(forward):
    torch.manual_seed(0)
    with pytest.raises(Unsupported) as refused:
        margin_bounds(Function(forward, nn.Linear(4, 4), nn.Linear(4, 2)), (4,))
    assert refused.value.node
    assert refused.value.remedy


def test_a_refusal_shows_the_line_of_code():
    with pytest.raises(Unsupported, match=r"test_branches\.py:\d+: return self\.head\(self\.layer\(x\) \* x\)"):
        margin_bounds(Function(gates, nn.Linear(4, 4), nn.Linear(4, 2)), (4,))


def test_a_constant_may_be_assumed_and_is_marked_so():
    torch.manual_seed(0)
    model = Function(lambda self, x: self.head(self.layer(x)), nn.LayerNorm(4), nn.Linear(4, 2))
    with pytest.raises(Unsupported, match="layer"):
        bound_model(model, (4,))
    bounds = bound_model(model, (4,), assumed={"layer": 7.0})
    assert bounds.assumed == {"layer": 7.0}
    assert [layer.assumed for layer in bounds.layers] == [True, False]
    rows = model.head.weight
    assert float(bounds.margins[0, 1]) == pytest.approx(7 * float((rows[0] - rows[1]).norm()), rel=1e-9)


@pytest.mark.parametrize("assumed", [{"lajer": 7.0}, {"layer": math.nan}, {"layer": -1.0}])
def test_what_is_assumed_must_be_a_constant_of_a_module(assumed):
    model = Function(lambda self, x: self.head(self.layer(x)), nn.LayerNorm(4), nn.Linear(4, 2))
    with pytest.raises(Unsupported, match="assumed"):
        bound_model(model, (4,), assumed=assumed)


def test_in_linf_an_assumed_constant_counts_by_the_root_of_what_it_takes():
    torch.manual_seed(0)
    model = Function(lambda self, x: self.head(self.layer(x)), nn.LayerNorm(4), nn.Linear(4, 2))
    bounds = bound_model(model, (4,), "linf", assumed={"layer": 7.0})
    assert bounds.layers[0].lipschitz_upper == pytest.approx(14, rel=1e-12)
    assert bounds.layers[0].lipschitz_upper >= 14


class Attention(nn.Module):
    """What no trace can follow: two values multiplied, and a branch that depends on one."""

    def __init__(self):
        super().__init__()
        self.mix = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        tokens = x.unflatten(1, (2, 4))
        return self.mix(tokens, tokens, tokens)[0].flatten(1) if float(x.abs().max()) < 1e9 else x


def test_what_cannot_be_traced_may_be_assumed_whole():
    torch.manual_seed(0)
    model = Function(lambda self, x: self.head(x + self.layer(x)), Attention(), nn.Linear(8, 2)).eval()
    with pytest.raises(Unsupported):
        bound_model(model, (8,))
    bounds = bound_model(model, (8,), assumed={"layer": 3.0})
    rows = model.head.weight
    assert float(bounds.margins[0, 1]) == pytest.approx(4 * float((rows[0] - rows[1]).norm()), rel=1e-9)


def test_of_several_assumed_constants_only_those_without_a_bound_count():
    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    model = nn.Sequential(block, nn.LayerNorm(4), nn.Linear(4, 2))
    bounds = bound_model(model, (4,), assumed={"0": 1e-6, "1": 7.0, "2": 1e-6})
    assert bounds.assumed == {"1": 7.0}
    honest = bound_model(model, (4,), assumed={"1": 7.0})
    assert torch.equal(bounds.margins, honest.margins)


def test_nothing_is_assumed_where_there_is_a_proof():
    torch.manual_seed(0)
    model = Function(lambda self, x: self.head(self.layer(x)), nn.Linear(4, 4), nn.Linear(4, 2))
    bounds = bound_model(model, (4,), assumed={"layer": 1e-6})
    assert bounds.assumed == {}
    assert torch.equal(bounds.margins, margin_bounds(model, (4,)))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first, self.second = (
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.Conv2d(outputs, outputs, 3, 1, 1),
        )
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        identity = self.shortcut(x)
        out = self.relu(self.norms[0](self.first(x)))
        out = self.norms[1](self.second(out))
        out += identity
        return self.relu(out)


def residual_net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1),
        Block(8, 8, 1), Block(8, 16, 2), Block(16, 16, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5),
    )  # fmt: skip


def test_a_residual_network_with_batch_normalisation_has_a_bound_that_its_gradients_keep():
    torch.manual_seed(0)
    model = residual_net().double()
    for _ in range(3):
        model.train()(torch.randn(8, 3, 16, 16, dtype=torch.float64))
    constants = margin_bounds(model.eval(), (3, 16, 16))
    point = torch.randn(3, 16, 16, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: model(x[None])[0], point).flatten(1)
    slopes = (jacobian[:, None] - jacobian[None]).norm(dim=2)
    assert bool((slopes <= constants).all())
    assert bool(constants.isfinite().all())


def test_constants_depend_on_every_tensor_of_the_forward_pass_and_on_no_other():
    torch.manual_seed(0)
    model = residual_net().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 2)
    before = margin_bounds(model, (3, 8, 8))
    for module in [*model.modules()]:
        module.register_buffer("u", torch.full((3,), 1e-30))
        if isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked.fill_(99)
    assert torch.equal(margin_bounds(model, (3, 8, 8)), before)
    for name, tensor in model.state_dict().items():
        if name.endswith((".u", "num_batches_tracked", "bias", "running_mean")) or name == "u":
            continue
        kept = tensor.clone()
        tensor.mul_(1.5)
        assert not torch.equal(margin_bounds(model, (3, 8, 8)), before), name
        tensor.copy_(kept)
