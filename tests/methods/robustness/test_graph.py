"""What a network may hide from a walk of its modules: each trick is either bounded correctly or refused by name."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from auditor.errors import Unsupported
from auditor.methods.robustness import bound_model, margin_bounds


def net(*layers):
    return nn.Sequential(*layers).eval()


def random_net(seed=0):
    torch.manual_seed(seed)
    return net(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def doubling(module, args, output):
    return 2 * output


class HiddenFunction(nn.Module):
    """Multiplies by ten between two layers."""

    def __init__(self, operation):
        super().__init__()
        self.first, self.second, self.operation = nn.Linear(6, 8), nn.Linear(8, 3), operation

    def forward(self, x):
        return self.second(self.operation(self.first(x)))


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x * x,
        lambda x: x**3,
        torch.exp,
        torch.maximum,
        functional.normalize,
        lambda x: x.max(1, keepdim=True)[0],
        lambda x: x @ x.T,
        lambda x: functional.dropout(x, 0.5),
        lambda x: x.softmax(1),
        lambda x: x - x.mean(0),
        lambda x: torch.fft.fft(x).real,
        lambda x: x.roll(1, 0),
        lambda x: x.clamp_(max=1).sort()[0],
        lambda x: x * x.abs().max(),
        lambda x: torch.where(x > 0, 5 * x, x),
        lambda x: x.to(torch.float32).to(x.dtype),
    ],
)
def test_operations_without_a_bound_are_refused(operation):
    with pytest.raises(Unsupported) as refused:
        margin_bounds(HiddenFunction(operation).eval(), (6,))
    assert refused.value.node
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("operation", "factor"),
    [
        (lambda x: 10 * x, 10.0),
        (lambda x: x * 10 + 1, 10.0),
        (lambda x: x / 0.1, 10.0),
        (lambda x: 3 - x, 1.0),
        (lambda x: -x, 1.0),
        (lambda x: x.mul_(10), 10.0),
        (lambda x: functional.leaky_relu(x, -10.0), 10.0),
        (lambda x: x + x, 2.0),
        (lambda x: x + 3 * x, 4.0),
        (lambda x: torch.sub(x, x, alpha=4), 3.0),
        (lambda x: x.flip(1), 1.0),
        (lambda x: torch.cat(x.chunk(2, 1)[::-1], 1), 1.0),
        (lambda x: x[:, [0] * 8], math.sqrt(8)),
        (lambda x: torch.stack(x.split(4, 1), 2).transpose(1, 2).flatten(1), 1.0),
        (functional.relu_, 1.0),
        (lambda x: functional.relu(x, inplace=True), 1.0),
        (lambda x: torch.tanh(x).abs(), 1.0),
    ],
)
def test_functional_operations_count_like_layers(operation, factor):
    torch.manual_seed(0)
    hidden = HiddenFunction(operation).eval()
    plain = net(hidden.first, nn.ReLU(), hidden.second)
    torch.testing.assert_close(margin_bounds(hidden, (6,)), factor * margin_bounds(plain, (6,)), rtol=1e-8, atol=0)


def test_reused_modules_multiply_again():
    shared = nn.Linear(4, 4)
    with torch.no_grad():
        shared.weight.copy_(3 * torch.eye(4))
    head = nn.Linear(4, 2)
    once, thrice = (margin_bounds(net(*[shared] * times, head), (4,)) for times in (1, 3))
    torch.testing.assert_close(thrice, 9 * once, rtol=1e-8, atol=0)


class ReusedInLoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        for _ in range(3):
            x = self.layer(x)
        return self.head(x)


def test_a_loop_in_forward_is_unrolled():
    model = ReusedInLoop().eval()
    expected = margin_bounds(net(model.layer, model.layer, model.layer, model.head), (4,))
    assert torch.equal(margin_bounds(model, (4,)), expected)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(x + self.layer(x))


class SideEffect(nn.Module):
    """Changes its input in place and then reads it again."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x.mul_(10)
        return self.head(x)


class ScalesItsWeight(SideEffect):
    def forward(self, x):
        self.head.weight.mul_(2)
        return self.head(x)


class TwoInputs(SideEffect):
    def forward(self, x, scale=3.0):
        return self.head(x * scale)


class Branching(SideEffect):
    def forward(self, x):
        return self.head(10 * x if x.sum() > 0 else x)


class MixesTheBatch(SideEffect):
    def forward(self, x):
        return self.head(x.flatten(0).reshape(-1, 4) - x.mean())


class ReturnsPairs(SideEffect):
    def forward(self, x):
        y = self.head(x)
        return y, y


class Counting(SideEffect):
    """Another function at every call."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return self.head(x) * float(self.calls)


@pytest.mark.parametrize(
    "model", [SideEffect, ScalesItsWeight, TwoInputs, Branching, MixesTheBatch, ReturnsPairs, Counting]
)
def test_what_is_no_one_function_of_the_input_is_refused(model):
    with pytest.raises(Unsupported):
        margin_bounds(model().eval(), (4,))


def test_in_place_layers_are_bounded_like_the_others():
    torch.manual_seed(0)
    first, second = nn.Linear(6, 8), nn.Linear(8, 3)
    in_place, plain = net(first, nn.ReLU(inplace=True), second), net(first, nn.ReLU(), second)
    assert torch.equal(margin_bounds(in_place, (6,)), margin_bounds(plain, (6,)))


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
@pytest.mark.parametrize("where", ["0", "1", ""])
def test_forward_hooks_are_refused(register, where):
    model = random_net()
    getattr(model.get_submodule(where), register)(lambda *args: None)
    with pytest.raises(Unsupported, match="hooks"):
        margin_bounds(model, (6,))


def test_global_hooks_are_refused():
    handle = nn.modules.module.register_module_forward_hook(doubling)
    try:
        with pytest.raises(Unsupported, match="hooks"):
            margin_bounds(random_net(), (6,))
    finally:
        handle.remove()


def test_a_forward_replaced_on_the_instance_is_refused():
    model = random_net()
    model[1].forward = lambda x: 10 * x
    with pytest.raises(Unsupported, match=r"1 has forward replaced"):
        margin_bounds(model, (6,))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_old_style_spectral_norm_is_refused_with_a_remedy():
    model = net(nn.utils.spectral_norm(nn.Linear(4, 4)), nn.Linear(4, 2))
    with pytest.raises(Unsupported, match="parametrizations"):
        margin_bounds(model, (4,))


def test_parametrised_weights_are_read_as_the_forward_pass_reads_them():
    torch.manual_seed(0)
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    with torch.no_grad():
        layer.parametrizations.weight.original0.mul_(7)
    plain = nn.Linear(4, 4)
    with torch.no_grad():
        plain.weight.copy_(layer.weight)
        plain.bias.copy_(layer.bias)
    head = nn.Linear(4, 2)
    expected = margin_bounds(net(plain, head), (4,))
    torch.testing.assert_close(margin_bounds(net(layer, head), (4,)), expected, rtol=1e-6, atol=0)


class Posing(nn.Linear):
    """Looks like a parametrised layer and is another."""

    def __init__(self):
        super().__init__(4, 2)
        self.parametrizations = nn.ModuleDict()

    def forward(self, input):
        return 1000 * super().forward(input)


Posing.__module__ = "torch.nn.utils.parametrize"


class Copying(nn.Module):
    """A copy of it, or its float64 form, is another function."""

    def __init__(self, factor):
        super().__init__()
        self.layer, self.factor = nn.Linear(4, 2), factor

    def forward(self, x):
        return self.layer(x) * self.factor


class CopiesAnother(Copying):
    def __deepcopy__(self, memo):
        made = CopiesAnother(1.0)
        made.layer = copy.deepcopy(self.layer, memo)
        return made


class CastsToAnother(Copying):
    def double(self):
        self.factor = 1.0
        return super().double()


class MindsItsDtype(Copying):
    def forward(self, x):
        return self.layer(x) * (self.factor if x.dtype == torch.float32 else 1.0)


class Larger(nn.Module):
    """A weight that float32 computes as another."""

    def forward(self, weight):
        return weight * (1000 if weight.dtype == torch.float32 else 1)


class Drifting(nn.Module):
    """Changes, by a little, a tensor that no state dict holds."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.register_buffer("drift", torch.ones(()), persistent=False)

    def forward(self, x):
        self.drift *= 1 + 1e-10
        return self.layer(x) * self.drift


def test_a_class_that_poses_as_a_parametrised_layer_is_refused():
    with pytest.raises(Unsupported, match="no bound is known"):
        margin_bounds(net(Posing()), (4,))


@pytest.mark.parametrize("model", [CopiesAnother(1000.0), CastsToAnother(1000.0), MindsItsDtype(1000.0)])
def test_a_model_that_is_another_in_float64_is_refused(model):
    with pytest.raises(Unsupported, match="something else in float32"):
        margin_bounds(model.eval(), (4,))


def test_a_parametrised_weight_that_float32_computes_as_another_is_refused():
    layer = nn.utils.parametrize.register_parametrization(nn.Linear(4, 2), "weight", Larger())
    with pytest.raises(Unsupported, match="something else in float32"):
        margin_bounds(net(layer), (4,))
    # The user's layer is left as it was.
    assert nn.utils.parametrize.is_parametrized(layer, "weight")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_models_of_any_precision_are_what_they_are_in_float64(dtype):
    torch.manual_seed(0)
    model = net(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.GELU(), nn.Flatten(), nn.Linear(24, 3)).to(dtype)
    assert torch.equal(margin_bounds(model, (2, 4, 4)), margin_bounds(model.double(), (2, 4, 4)))


def test_a_tensor_outside_the_state_dict_that_the_forward_pass_changes_is_seen():
    with pytest.raises(Unsupported, match="changes `drift`"):
        margin_bounds(Drifting().eval(), (4,))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_a_padding_changed_after_the_layer_was_made_is_refused(mode):
    """Torch goes on padding as it did, and what it pads with repeats pixels."""
    layer = nn.Conv1d(1, 2, 1, padding=2, padding_mode=mode)
    layer.padding = (0,)
    with pytest.raises(Unsupported, match="as it did when it was made"):
        margin_bounds(net(layer, nn.Flatten(), nn.Linear(14, 2)), (1, 3))


@pytest.mark.parametrize("geometry", [{"kernel_size": (1,)}, {"stride": 2}, {"dilation": 1}])
@pytest.mark.parametrize("kind", [nn.Conv1d, nn.ConvTranspose1d])
def test_a_kernel_of_another_size_than_the_layer_says_is_refused(kind, geometry):
    layer = kind(1, 2, 3, padding=1)
    for name, value in geometry.items():
        setattr(layer, name, value)
    with pytest.raises(Unsupported, match="do not fit"):
        margin_bounds(net(layer, nn.Flatten(), nn.Linear(2, 2)), (1, 8))


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [0, 1, (2, 1), "same", "valid"])
def test_paddings_are_what_they_say(mode, padding):
    torch.manual_seed(0)
    layer = nn.Conv2d(1, 2, (4, 3), padding=padding, padding_mode=mode, dilation=(1, 2))
    sizes = layer(torch.zeros(1, 1, 7, 8)).shape[1:].numel()
    margin_bounds(net(layer, nn.Flatten(), nn.Linear(sizes, 2)), (1, 7, 8))


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(8), nn.Dropout(0.1)])
def test_train_mode_is_refused(layer):
    model = nn.Sequential(nn.Linear(6, 8), layer, nn.Linear(8, 3)).train()
    with pytest.raises(Unsupported, match="train mode"):
        margin_bounds(model, (6,))
    margin_bounds(model.eval(), (6,))


def test_poisoned_buffers_change_nothing():
    """Power iterates of other certifiers, stored with the weights; only tensors of the forward pass may count."""
    torch.manual_seed(0)
    model = net(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    expected = margin_bounds(model, (1, 4, 4))
    for module in (model, model[0], model[4]):
        for name in ("u", "v", "init_x", "weight_u", "lipschitz"):
            module.register_buffer(name, torch.full((4,), 1e-30))
    model[1].num_batches_tracked.fill_(12345)
    assert torch.equal(margin_bounds(model, (1, 4, 4)), expected)
    model[1].running_var.mul_(0.01)
    assert not torch.equal(margin_bounds(model, (1, 4, 4)), expected)


def test_the_node_is_named():
    model = nn.Sequential()
    model.add_module("stem", nn.Linear(4, 4))
    model.add_module("oddity", nn.Hardshrink())
    with pytest.raises(Unsupported, match="oddity") as refused:
        margin_bounds(model.eval(), (4,))
    assert refused.value.node == "oddity"


class Reshaping(nn.Module):
    def __init__(self, reshape):
        super().__init__()
        self.conv, self.head, self.reshape = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(32, 3), reshape

    def forward(self, x):
        return self.head(self.reshape(self.conv(x)))


@pytest.mark.parametrize(
    "reshape",
    [
        lambda x: x.view(x.size(0), -1),
        lambda x: x.reshape(x.shape[0], -1),
        lambda x: x.view(-1, 32),
        lambda x: x.flatten(1),
        lambda x: torch.flatten(x, start_dim=1),
    ],
)
def test_common_ways_to_flatten_are_understood(reshape):
    model = Reshaping(reshape).eval()
    expected = margin_bounds(net(model.conv, nn.Flatten(), model.head), (1, 4, 4))
    assert torch.equal(margin_bounds(model, (1, 4, 4)), expected)


def test_reshaping_across_the_batch_is_refused():
    with pytest.raises(Unsupported):
        margin_bounds(Reshaping(lambda x: x.view(-1, 16)).eval(), (1, 4, 4))


def test_the_input_shape_must_fit():
    with pytest.raises(Unsupported, match="cannot run"):
        margin_bounds(random_net(), (5,))


def test_logits_must_be_one_vector_per_input():
    with pytest.raises(Unsupported, match="one logit per class"):
        margin_bounds(net(nn.Conv2d(1, 2, 3)), (1, 5, 5))


def test_every_layer_is_listed_with_its_bound():
    bounds = bound_model(random_net(), (6,))
    assert [layer.name for layer in bounds.layers] == ["0", "1", "2"]
    assert [layer.kind for layer in bounds.layers] == ["Linear", "ReLU", "Linear"]
