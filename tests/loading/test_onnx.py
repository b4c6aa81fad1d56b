"""ONNX graphs become torch layers that compute the same."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

from auditor.errors import ModelError
from auditor.loading import load_model
from auditor.loading.onnx import refuse_other_function, translate, translate_file
from auditor.methods.training.layers import MinMax
from tests.loading.sections import section


def graph(nodes, constants, shape=(3,), output=("y", (2,)), opset=17, batch: int | str = "n") -> onnx.ModelProto:
    """A model of one input `x` [batch, *shape] and one output."""
    float32 = TensorProto.FLOAT
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", float32, [batch, *shape])],
        [helper.make_tensor_value_info(output[0], float32, [batch, *output[1]])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def small() -> onnx.ModelProto:
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"], name="first"),
        helper.make_node("Add", ["a", "b1"], ["b"], name="first/bias"),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Gemm", ["c", "w2", "b2"], ["y"], name="second", transB=1, alpha=0.5, beta=2.0),
    ]
    return graph(nodes, {"w1": random(3, 4), "b1": random(4), "w2": random(2, 4), "b2": random(2)})


def test_a_dense_network_is_a_chain_of_torchs_own_layers(tmp_path):
    onnx.save(small(), tmp_path / "model.onnx")
    model = load_model(section(None), tmp_path / "model.onnx", base=tmp_path)
    assert [type(layer) for layer in model.network] == [nn.Linear, nn.ReLU, nn.Linear]
    assert model.layer_names() == ("first", "relu_2", "second")
    x = np.random.default_rng(5).random((9, 3), dtype=np.float32)
    expected = ReferenceEvaluator(small()).run(None, {"x": x})[0]
    np.testing.assert_allclose(model(torch.from_numpy(x)).numpy(), expected, atol=1e-6)
    with pytest.raises(ModelError, match=r"remove model\.architecture"):
        load_model(section("torch.nn:Linear"), tmp_path / "model.onnx", base=tmp_path)


def exported(network: nn.Module, shape: tuple[int, ...], path, opset: int = 17) -> onnx.ModelProto:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = {"x": {0: "n"}, "y": {0: "n"}}
        torch.onnx.export(
            network.eval(), (torch.zeros(2, *shape),), str(path), dynamo=False, opset_version=opset,
            input_names=["x"], output_names=["y"], dynamic_axes=axes,
        )  # fmt: skip
    return onnx.load(path)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.inner = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = self.stem(x).relu()
        x = torch.cat([x[:, :2] + self.inner(x)[:, :2], self.inner(x)[:, 2:]], dim=1)
        return self.head(x.mean((2, 3)))


def flat(*layers: nn.Module, width: int) -> nn.Module:
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, 3))


class Viewed(nn.Module):
    """Flattens as old code does, so that the export computes with the batch's size."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(128, 3)

    def forward(self, x):
        return self.head(x.view(x.size(0), -1))


class Permuted(Viewed):
    def forward(self, x):
        return self.head(x.permute(0, 2, 3, 1).flatten(1))


NETWORKS = {
    "convolution": flat(nn.Conv2d(2, 4, 3, stride=2, padding=1, dilation=1), nn.ReLU(), width=64),
    "groups": flat(nn.Conv2d(2, 4, 3, groups=2, bias=False), nn.LeakyReLU(0.2), width=144),
    "batch norm": flat(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ELU(), width=256),
    "batch norm alone": flat(nn.BatchNorm2d(2), width=128),
    "pools": flat(nn.MaxPool2d(3, 2, padding=1), nn.AvgPool2d(2), width=8),
    "global pool": flat(nn.Conv2d(2, 4, 1), nn.AdaptiveAvgPool2d(1), width=4),
    "activations": flat(nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.Hardtanh(-0.5, 0.5), nn.SELU(), width=128),
    "product": flat(nn.SiLU(), nn.ReLU6(), width=128),
    "min-max": flat(nn.Conv2d(2, 4, 3, padding=1), MinMax(), nn.PixelUnshuffle(2), width=256),
    "softmax": nn.Sequential(nn.Flatten(), nn.Linear(128, 3), nn.Softmax(1)),
    "residual": Residual(),
    "view": Viewed(),
    "permute": Permuted(),
}


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_torch_exports_comes_back(name, opset, tmp_path):
    torch.manual_seed(1)
    network = NETWORKS[name]
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    exported(network, (2, 8, 8), tmp_path / "model.onnx", opset)
    translated = translate_file(tmp_path / "model.onnx", (2, 8, 8)).eval()
    x = torch.rand(5, 2, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(translated(x), network(x), atol=1e-5, rtol=1e-5)


def test_a_chain_is_sequential_and_a_branch_can_be_traced(tmp_path):
    exported(NETWORKS["batch norm"], (2, 8, 8), tmp_path / "chain.onnx")
    chain = translate_file(tmp_path / "chain.onnx", (2, 8, 8))
    assert type(chain) is nn.Sequential
    exported(NETWORKS["residual"], (2, 8, 8), tmp_path / "branch.onnx")
    branch = translate_file(tmp_path / "branch.onnx", (2, 8, 8))
    assert torch.fx.symbolic_trace(branch)(torch.zeros(1, 2, 8, 8)).shape == (1, 3)


@pytest.mark.parametrize("rule", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (2, 1, 1), (3, 2, 1), (3, 1, 2)])
def test_padding_rules_of_a_convolution(rule, kernel, stride, dilation):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], auto_pad=rule, strides=[stride] * 2, dilations=[dilation] * 2),
        helper.make_node("GlobalAveragePool", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["y"]),
    ]
    model = graph(nodes, {"w": random(2, 3, kernel, kernel)}, (3, 7, 7))
    if dilation > 1 and rule != "VALID":
        # onnx's evaluator ignores dilation in these two rules; the standard's formula is checked by hand instead.
        convolution = translate(model, (3, 7, 7))[0]
        layer = convolution[1] if isinstance(convolution, nn.Sequential) else convolution
        assert layer.dilation == (2, 2)
        assert convolution(torch.zeros(1, 3, 7, 7)).shape[2:] == (7, 7)
        return
    refuse_other_function(translate(model, (3, 7, 7)).eval(), model, (3, 7, 7), "test")


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [("Sub", ["x", "c"]), ("Sub", ["c", "x"]), ("Mul", ["c", "x"]), ("Div", ["x", "c"]), ("Add", ["c", "x"])],
)
def test_arithmetic_with_constants(operator, inputs):
    nodes = [helper.make_node(operator, inputs, ["a"]), helper.make_node("MatMul", ["a", "w"], ["y"])]
    model = graph(nodes, {"c": random(3) + 3, "w": random(3, 2)})
    refuse_other_function(translate(model, (3,)), model, (3,), "test")


def test_a_flat_input_of_the_spec_reaches_a_graph_of_images():
    nodes = [helper.make_node("Flatten", ["x"], ["a"]), helper.make_node("MatMul", ["a", "w"], ["y"])]
    model = graph(nodes, {"w": random(5, 2)}, (1, 1, 5), batch=1)
    network = translate(model, (5,))
    refuse_other_function(network, model, (5,), "test")
    assert network(torch.zeros(4, 5)).shape == (4, 2)
    with pytest.raises(ModelError, match=r"takes inputs of shape \[1, 1, 5\], model\.input\.shape is \[6\]"):
        translate(model, (6,))


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([helper.make_node("Erf", ["x"], ["y"], name="odd")], {}, "ONNX node 'odd': the operator Erf is not supported"),
        ([helper.make_node("MatMul", ["x", "x"], ["y"], name="q")], {}, "ONNX node 'q'"),
        ([helper.make_node("Reshape", ["x", "s"], ["y"])], {"s": np.array([1, -1])}, "mix the inputs of a batch"),
        ([helper.make_node("Flatten", ["x"], ["y"], axis=0)], {}, "would mix the inputs of a batch"),
        ([helper.make_node("Relu", ["c"], ["y"])], {"c": random(1, 2)}, "operator Relu is not supported"),
    ],
)
def test_what_is_outside_the_table_is_named(nodes, constants, message):
    with pytest.raises(ModelError, match=message):
        translate(graph(nodes, constants), (3,))


def test_a_wrong_translation_is_found_out():
    network = translate(small(), (3,))
    with torch.no_grad():
        network.second.bias[0] += 0.01
    with pytest.raises(ModelError, match="differs from ONNX's reference evaluator"):
        refuse_other_function(network, small(), (3,), "model.onnx")


@pytest.mark.parametrize("kept", [0, 1, 20, 0.5, 0.9, -1])
def test_a_cut_off_file_is_an_error(kept, tmp_path):
    data = small().SerializeToString()
    cut = kept if isinstance(kept, int) else int(len(data) * kept)
    (tmp_path / "model.onnx").write_bytes(data[:cut])
    with pytest.raises(ModelError):
        load_model(section(None), tmp_path / "model.onnx", base=tmp_path)


def test_weights_in_other_files_are_not_followed(tmp_path):
    model = small()
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(ModelError, match="keeps weights in other files"):
        load_model(section(None), tmp_path / "model.onnx", base=tmp_path)


def test_a_graph_that_makes_much_out_of_little_is_not_evaluated():
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["a"], name="bomb"),
        helper.make_node("MatMul", ["x", "a"], ["y"]),
    ]
    with pytest.raises(ModelError, match="'bomb': the operator ConstantOfShape is not supported"):
        translate(graph(nodes, {"s": np.array([3, 2**40])}), (3,))
