"""An ONNX graph as a sequential network, or as a traced graph where it branches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, fx, nn

from auditor.errors import ModelError
from auditor.loading.onnx.call import Call
from auditor.loading.onnx.comparison import evaluate_node, refuse_other_function
from auditor.loading.onnx.file import parse
from auditor.loading.onnx.layers import Part, Reshape, Shift
from auditor.loading.onnx.operators import FUNCTIONS, LAYERS

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

PROBE_ROWS = 3
"""Rows of the probe that shapes are found with. Computations on shapes see this as the batch's size; the comparison
with the reference runs on other sizes, so a graph that depends on it is found out."""

FOLDABLE = frozenset(
    (
        "Add", "Cast", "Concat", "Constant", "Div", "Gather", "Identity", "Mul", "Neg", "Pow", "Reciprocal", "Reshape",
        "Slice", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze",
    )
)  # fmt: skip
"""Operators evaluated beforehand when all their inputs are constants. None makes much out of little."""


class Step(NamedTuple):
    """What makes the value `output`: a layer of one value, or a function of several with its fixed arguments."""

    output: str
    name: str
    inputs: tuple[str, ...]
    make: Any
    arguments: dict[str, Any]


def translate_file(path: Path, input_shape: tuple[int, ...]) -> nn.Module:
    """The network of an ONNX file for inputs of `input_shape`, compared with the reference evaluator.

    Raises ModelError for a damaged file, an operator outside the table, and a translation that computes something else.
    """
    model = parse(path)
    network = translate(model, input_shape)
    refuse_other_function(network, model, input_shape, path.name)
    return network


def translate(model: ModelProto, input_shape: tuple[int, ...]) -> nn.Module:
    """A Sequential of torch's layers where the graph is a chain, else a GraphModule of them. Raises ModelError."""
    own = {opset.domain for opset in model.opset_import} - {"", "ai.onnx"}
    foreign = sorted({node.op_type for node in model.graph.node if node.domain in own})
    if foreign:
        raise ModelError(
            f"ONNX operators of other domains are not supported: {', '.join(foreign)}",
            remedy="save the weights as a state dict and name the architecture instead",
        )
    return _Translation(model, input_shape).network()


class _Translation:
    def __init__(self, model: ModelProto, input_shape: tuple[int, ...]):
        from onnx import numpy_helper

        self.model, self.graph = model, model.graph
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.graph.initializer}
        inputs = [each for each in self.graph.input if each.name not in self.constants]
        if len(inputs) != 1 or len(self.graph.output) != 1:
            raise ModelError(
                f"the ONNX graph has {len(inputs)} inputs and {len(self.graph.output)} outputs, expected one of each"
            )
        self.values: dict[str, Tensor] = {}
        self.steps: list[Step] = []
        self.source = inputs[0].name
        self.values[self.source] = torch.zeros(PROBE_ROWS, *input_shape)
        batch, *rest = (size.dim_value for size in inputs[0].type.tensor_type.shape.dim)
        self.single, sizes = batch == 1, tuple(rest)
        if sizes and 0 not in sizes and sizes != input_shape:
            if len(input_shape) != 1 or int(np.prod(sizes)) != input_shape[0]:
                raise ModelError(
                    f"the ONNX graph takes inputs of shape {list(sizes)}, model.input.shape is {list(input_shape)}",
                    remedy="write model.input.shape as the graph has it, or flat",
                )
            self._layer("input", self.source, Reshape(sizes), "input:shaped")
            self.source_value = "input:shaped"
        else:
            self.source_value = self.source

    def network(self) -> nn.Module:
        for number, node in enumerate(self.graph.node):
            self._node(node, node.name or f"{node.op_type.lower()}_{number}")
        result = self.graph.output[0].name
        if result not in self.values:
            raise ModelError("the ONNX graph's output does not depend on its input")
        steps = self._needed(result)
        chain = all(
            isinstance(step.make, nn.Module) and step.inputs == (before.output if before else self.source,)
            for before, step in zip([None, *steps], steps, strict=False)
        )
        return self._sequential(steps) if chain else self._traced(steps, result)

    def _node(self, node: NodeProto, name: str) -> None:
        from onnx import helper

        inputs = [self.source_value if each == self.source else each for each in node.input]
        attributes = {each.name: _plain(helper.get_attribute_value(each)) for each in node.attribute}
        variables = [each for each in inputs if each in self.values]
        if node.op_type == "Shape" and variables:
            shape = np.array(self.values[variables[0]].shape, dtype=np.int64)
            self.constants[node.output[0]] = shape[attributes.get("start", 0) : attributes.get("end")]
        elif not variables:
            if node.op_type not in FOLDABLE:
                raise self._unknown(node, name)
            self.constants[node.output[0]] = evaluate_node(node, self.constants, self.model)
        elif node.op_type == "Concat" and len(variables) == len(inputs):
            axis = attributes["axis"] % self.values[inputs[0]].ndim
            self._function(name, torch.cat, inputs, node.output[0], {"dim": axis})
        elif node.op_type == "Split":
            self._split(node, name, inputs, attributes)
        elif len(variables) == 2 and len(inputs) == 2 and node.op_type in FUNCTIONS:
            self._function(name, FUNCTIONS[node.op_type], inputs, node.output[0], {})
        elif len(variables) == 1 and node.op_type in LAYERS:
            constants = {place: self.constants[each] for place, each in enumerate(inputs) if each in self.constants}
            value = self.values[variables[0]]
            call = Call(name, node.op_type, attributes, constants, value, inputs.index(variables[0]), self.single)
            self._layer(name, variables[0], LAYERS[node.op_type](call), node.output[0])
        else:
            raise self._unknown(node, name)

    def _unknown(self, node: NodeProto, name: str) -> ModelError:
        known = ", ".join(sorted({*LAYERS, *FUNCTIONS, "Concat", "Split"}))
        return ModelError(
            f"ONNX node {name!r}: the operator {node.op_type} is not supported on such inputs; supported are {known}",
            remedy="save the weights as a state dict and name the architecture instead",
            code="onnx-operator",
        )

    def _layer(self, name: str, value: str, layer: nn.Module, output: str) -> None:
        previous = self.steps[-1] if self.steps else None
        if isinstance(layer, Shift) and previous is not None and previous.output == value and self._single_use(value):
            # MatMul followed by Add is how most exporters write a dense layer.
            made = previous.make
            if isinstance(made, nn.Linear) and made.bias is None and layer.constant.shape == (made.out_features,):
                made.bias = nn.Parameter(layer.constant.clone())
                self.steps[-1] = previous._replace(output=output)
                self.values[output] = self._run(name, made, self.values[previous.inputs[0]])
                return
        self.values[output] = self._run(name, layer, self.values[value])
        self.steps.append(Step(output, name, (value,), layer, {}))

    def _function(self, name: str, function: Any, inputs: list[str], output: str, arguments: dict[str, Any]) -> None:
        probes = [self.values[each] for each in inputs]
        self.values[output] = function(probes, **arguments) if function is torch.cat else function(*probes)
        self.steps.append(Step(output, name, tuple(inputs), function, arguments))

    def _split(self, node: NodeProto, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
        value = self.values[inputs[0]]
        axis = attributes.get("axis", 0) % value.ndim
        sizes = attributes.get("split")
        if len(inputs) > 1:
            sizes = [int(each) for each in self.constants[inputs[1]]]
        if sizes is None:
            size = -(-value.shape[axis] // len(node.output))
            sizes = [min(size, value.shape[axis] - size * place) for place in range(len(node.output))]
        if axis == 0:
            raise self._unknown(node, name)
        start = 0
        for place, (size, output) in enumerate(zip(sizes, node.output, strict=True)):
            self._layer(f"{name}_{place}", inputs[0], Part(axis, start, start + size), output)
            start += size

    def _single_use(self, value: str) -> bool:
        uses = sum(list(node.input).count(value) for node in self.graph.node)
        return uses == 1 and all(output.name != value for output in self.graph.output)

    def _run(self, name: str, layer: nn.Module, value: Tensor) -> Tensor:
        try:
            with torch.no_grad():
                result = layer.eval()(value)
        except Exception as error:
            raise ModelError(
                f"ONNX node {name!r} cannot take a value of shape {list(value.shape[1:])}: {error}",
                remedy="correct model.input.shape",
            ) from error
        if len(result) != PROBE_ROWS:
            raise ModelError(f"ONNX node {name!r} mixes the inputs of a batch")
        return result

    def _needed(self, result: str) -> list[Step]:
        """The steps that `result` depends on, in order."""
        wanted, kept = {result}, []
        for step in reversed(self.steps):
            if step.output in wanted:
                wanted.update(step.inputs)
                kept.append(step)
        return kept[::-1]

    def _sequential(self, steps: list[Step]) -> nn.Module:
        network = nn.Sequential()
        for step in steps:
            network.add_module(_free(step.name, network), step.make)
        return network

    def _traced(self, steps: list[Step], result: str) -> nn.Module:
        root, graph = nn.Module(), fx.Graph()
        nodes = {self.source: graph.placeholder("x")}
        for step in steps:
            inputs = [nodes[each] for each in step.inputs]
            if isinstance(step.make, nn.Module):
                name = _free(step.name, root)
                root.add_module(name, step.make)
                nodes[step.output] = graph.call_module(name, tuple(inputs))
            elif step.make is torch.cat:
                nodes[step.output] = graph.call_function(torch.cat, (inputs,), step.arguments)
            else:
                nodes[step.output] = graph.call_function(step.make, tuple(inputs), step.arguments)
        graph.output(nodes[result])
        return fx.GraphModule(root, graph)


def _free(name: str, parent: nn.Module) -> str:
    """`name` as a module name that `parent` does not use yet."""
    plain = re.sub(r"\W+", "_", name).strip("_") or "layer"
    plain = f"layer_{plain}" if plain[0].isdigit() else plain
    choice, number = plain, 1
    while hasattr(parent, choice):
        number += 1
        choice = f"{plain}_{number}"
    return choice


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
