"""ONNX's own reference evaluator, in numpy: what every translation must agree with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from auditor.errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

TOLERANCE = 1e-4
"""Of the largest logit: sums in another order differ by less, another function by more."""
PROBES = ((0.0, 1.0), (-1.0, 1.0), (-10.0, 10.0))
"""Ranges that the inputs compared are drawn from: piecewise functions show another face far from zero."""


def evaluate_node(node: NodeProto, constants: Mapping[str, np.ndarray], model: ModelProto) -> np.ndarray:
    """The first output of a node whose inputs are all constants. Raises ModelError."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    feeds = {name: constants[name] for name in node.input if name}
    graph = helper.make_graph(
        [node],
        "constant",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for name, v in feeds.items()
        ],
        [helper.make_empty_tensor_value_info(node.output[0])],
    )
    single = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    try:
        outputs: Any = ReferenceEvaluator(single).run(None, feeds)
        return np.asarray(outputs[0])
    except Exception as error:
        raise ModelError(f"ONNX node {node.name or node.op_type!r} cannot be evaluated: {error}") from error


def refuse_other_function(network: nn.Module, model: ModelProto, input_shape: tuple[int, ...], subject: str) -> None:
    """Raises ModelError unless the network computes what ONNX's reference evaluator does, on random inputs."""
    from onnx.reference import ReferenceEvaluator

    known = {tensor.name for tensor in model.graph.initializer}
    source = next(each for each in model.graph.input if each.name not in known)
    sizes = tuple(size.dim_value for size in source.type.tensor_type.shape.dim)[1:]
    shape = sizes if sizes and 0 not in sizes else input_shape
    generator = np.random.default_rng(0)
    reference = ReferenceEvaluator(model, new_ops=_corrected(model))
    for low, high in PROBES:
        inputs = generator.uniform(low, high, (1, *input_shape)).astype(np.float32)
        try:
            outputs: Any = reference.run(None, {source.name: inputs.reshape(1, *shape)})
            expected = np.asarray(outputs[0])
        except Exception as error:
            raise ModelError(f"model file {subject}: ONNX's reference evaluator fails on it: {error}") from error
        with torch.no_grad():
            found = network(torch.from_numpy(inputs)).numpy()
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        if found.shape != expected.shape or not np.allclose(found, expected, rtol=0, atol=TOLERANCE * scale):
            gap = float(np.abs(found - expected).max()) if found.shape == expected.shape else "another shape"
            raise ModelError(
                f"model file {subject}: its translation to torch differs from ONNX's reference evaluator ({gap})",
                remedy="save the weights as a state dict and name the architecture instead; please report this graph",
                code="onnx-translation",
            )


def _corrected(model: ModelProto) -> list[type]:
    """Batch normalisation for operator sets below 14, where ONNX's evaluator averages in the batch's own statistics;
    the standard says that a node with one output is in inference mode."""
    from onnx.reference.op_run import OpRun

    if all(opset.version >= 14 for opset in model.opset_import if opset.domain in ("", "ai.onnx")):
        return []

    class BatchNormalization(OpRun):
        op_domain = ""

        def _run(self, x, scale, bias, mean, var, epsilon=1e-5, momentum=None, spatial=None, training_mode=0):
            axes = (-1, *[1] * (x.ndim - 2))
            scale, bias, mean, var = (each.reshape(axes) for each in (scale, bias, mean, var))
            return ((scale * (x - mean) / np.sqrt(var + epsilon) + bias).astype(x.dtype),)

    return [BatchNormalization]
