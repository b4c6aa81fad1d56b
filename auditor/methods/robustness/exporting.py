"""The graph of a forward pass that symbolic tracing cannot follow, from torch.export: code that branches on shapes or
calls libraries on them.

torch.export runs the forward pass on tensors without data and records ATen operations; these become the calls that a
symbolic trace would have shown. The size of the batch stays a symbol, so that a model which treats batches of one
size differently cannot be exported, and one of a single input is compared with the model afterwards.
"""

from __future__ import annotations

import contextlib
import io
import logging
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import fx, nn
from torch.fx.node import map_arg
from torch.nn import functional

from auditor.errors import Unsupported
from auditor.methods.robustness.operations import FUNCTIONS, NAMESPACES

ROWS = 3
"""Inputs of the example; torch.export takes sizes of 0 and 1 for constants."""

LARGEST_BATCH = 1 << 20
"""Stated because torch 2.6 guards against its own infinity where a symbol has no upper end."""

CHECKS = ("_assert_scalar", "_assert_tensor_metadata", "sym_constrain_range", "sym_constrain_range_for_size")
"""Operations that compute nothing."""

COMPARISONS = (operator.eq, operator.ne, operator.le, operator.lt, operator.ge, operator.gt)

FIRST_OF = ("_native_batch_norm_legit_no_training", "max_pool2d_with_indices", "max_pool3d_with_indices")
"""Operations whose first result is the value, the others by-products."""

SAME = {
    "alias": "detach", "_unsafe_view": "view", "split_with_sizes": "split", "log_sigmoid": "logsigmoid",
    "sym_size": "size", "max_pool2d_with_indices": "max_pool2d",
    "max_pool3d_with_indices": "max_pool3d", "_softmax": "softmax", "_log_softmax": "log_softmax",
    "_adaptive_avg_pool2d": "adaptive_avg_pool2d", "_adaptive_avg_pool3d": "adaptive_avg_pool3d",
}  # fmt: skip
"""ATen's names of what has another here."""


def export(model: nn.Module, input_shape: tuple[int, ...], device: torch.device, why: Unsupported) -> fx.Graph:
    """The forward pass of a float64 `model` as a graph of the calls that a symbolic trace shows.

    Raises `why`, the reason there is no symbolic trace, with torch.export's own where it fails too.
    """
    example = torch.zeros(ROWS, *input_shape, dtype=torch.float64, device=device)
    try:
        with _silence():
            batch = torch.export.Dim("batch", min=2, max=LARGEST_BATCH)
            program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},), strict=False)
    except Exception as error:
        first = (str(error).splitlines() or [type(error).__name__])[0].partition(" For more information")[0]
        raise Unsupported(f"{why.what}; nor exported: {first}", node=why.node, remedy=why.remedy) from error
    return calls(model, program)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """torch.export prints what it makes of a model that it refuses."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def calls(model: nn.Module, program: Any) -> fx.Graph:
    """The graph of an exported program of `model`, its ATen operations replaced by the functions they are made of."""
    return _Rewriting(model, program).graph()


class _Rewriting:
    def __init__(self, model: nn.Module, program: Any) -> None:
        signature = program.graph_signature
        self.model, self.source = model, program.graph
        kinds = {str(output.kind).rpartition(".")[2] for output in signature.output_specs}
        if kinds != {"USER_OUTPUT"} or len(signature.output_specs) != 1:
            raise Unsupported(
                f"{type(model).__name__}: the forward pass changes its own tensors, or returns several",
                node=type(model).__name__,
                remedy="return the logits alone and change nothing",
            )
        self.stored = {
            spec.arg.name: spec.target
            for spec in signature.input_specs
            if str(spec.kind).rpartition(".")[2] in ("PARAMETER", "BUFFER", "CONSTANT_TENSOR")
        }
        self.made = fx.Graph()
        self.found: dict[fx.Node, fx.Node] = {}

    def graph(self) -> fx.Graph:
        dropped = set(_unused(self.source))
        for node in self.source.nodes:
            if node in dropped:
                continue
            if node.op == "output":
                (result,) = node.args[0]
                self.made.output(self._read(result))
            else:
                self.found[node] = self._node(node)
                self.found[node].meta["stack_trace"] = node.meta.get("stack_trace")
        return self.made

    def _read(self, argument: Any) -> Any:
        return map_arg(argument, self.found.__getitem__)

    def _node(self, node: fx.Node) -> fx.Node:
        if node.op == "placeholder":
            return self._attribute(self.stored[node.name]) if node.name in self.stored else self.made.placeholder("x")
        if node.op == "get_attr":
            return self._attribute(str(node.target))
        args, options = list(self._read(node.args)), dict(self._read(node.kwargs))
        options.pop("memory_format", None)
        if not _name(node):
            source = node.args[0]
            by_product = isinstance(source, fx.Node) and _name(source) in FIRST_OF
            if node.target is operator.getitem and by_product and args[1] == 0:
                return args[0]
            return self.made.call_function(node.target, tuple(args), options)  # pyright: ignore[reportArgumentType]
        name = _name(node)
        if not any(isinstance(each, torch.dtype) for each in (*args, *options.values())):
            if name in REWRITTEN:
                return REWRITTEN[name](self.made, node, args, options)
            name = SAME.get(name, name)
            if name == "size":
                return self.made.call_method("size", tuple(args))
            function = _function(name)
            if function is not None:
                return self.made.call_function(function, tuple(args), options)
        return self.made.call_function(node.target, tuple(args), options)  # pyright: ignore[reportArgumentType]

    def _attribute(self, target: str) -> fx.Node:
        try:
            operator.attrgetter(target)(self.model)
        except AttributeError:
            raise Unsupported(
                f"{type(self.model).__name__}: the forward pass makes a tensor of its own, {target}",
                node=target,
                remedy="register it as a buffer of the module",
            ) from None
        return self.made.create_node("get_attr", target)


def _name(node: fx.Node) -> str:
    schema = getattr(node.target, "_schema", None)
    return "" if schema is None else schema.name.rpartition("::")[2]


def _unused(graph: fx.Graph) -> Iterable[fx.Node]:
    """Assertions, and comparisons of sizes that only these use."""
    dropped: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        if _name(node) in CHECKS or (node.target in COMPARISONS and all(user in dropped for user in node.users)):
            dropped.add(node)
    return dropped


def _function(name: str) -> Callable[..., Any] | None:
    found = (getattr(space, name, None) for space in NAMESPACES)
    return next((each for each in found if callable(each) and each in FUNCTIONS), None)


def _convolution(graph: fx.Graph, node: fx.Node, args: list[Any], options: dict[str, Any]) -> fx.Node:
    x, weight, bias, stride, padding, dilation, transposed, output_padding, groups = args
    kind = f"conv{'_transpose' if transposed else ''}{len(stride)}d"
    rest = (output_padding, groups, dilation) if transposed else (dilation, groups)
    return graph.call_function(getattr(functional, kind), (x, weight, bias, stride, padding, *rest), options)


def _batch_norm(graph: fx.Graph, node: fx.Node, args: list[Any], options: dict[str, Any]) -> fx.Node:
    x, weight, bias, mean, variance, *rest = args
    training, momentum, eps = rest[:3] if isinstance(rest[0], bool) else (False, *rest[:2])
    args = [x, mean, variance, weight, bias, training, momentum, eps]
    return graph.call_function(functional.batch_norm, tuple(args), options)


def _pool(name: str) -> Callable[..., fx.Node]:
    """An empty stride means that of the window."""

    def pool(graph: fx.Graph, node: fx.Node, args: list[Any], options: dict[str, Any]) -> fx.Node:
        given = [None if each == [] else each for each in args]
        return graph.call_function(getattr(functional, name), tuple(given), options)

    return pool


def _addmm(graph: fx.Graph, node: fx.Node, args: list[Any], options: dict[str, Any]) -> fx.Node:
    bias, x, weight = args
    if options:
        return graph.call_function(torch.addmm, tuple(args), options)
    return graph.call_function(functional.linear, (x, graph.call_method("t", (weight,)), bias))


def _slice(graph: fx.Graph, node: fx.Node, args: list[Any], options: dict[str, Any]) -> fx.Node:
    x, dim, start, end, step = [*args, *(0, None, None, 1)[len(args) - 1 :]]
    source = node.args[0]
    assert isinstance(source, fx.Node)
    before = (slice(None),) * (dim % source.meta["val"].ndim)
    return graph.call_function(operator.getitem, (x, (*before, slice(start, end, step))))


def _pad(graph: fx.Graph, node: fx.Node, args: list[Any], options: dict[str, Any]) -> fx.Node:
    x, widths, value = [*args, 0.0][:3]
    return graph.call_function(functional.pad, (x, widths, "constant", value))


def _nearest(graph: fx.Graph, node: fx.Node, args: list[Any], options: dict[str, Any]) -> fx.Node:
    x, size, scale = [*args, *(None, None)[len(args) - 1 :]]
    return graph.call_function(functional.interpolate, (x, size, None if scale is None else tuple(scale), "nearest"))


REWRITTEN: dict[str, Callable[..., fx.Node]] = {
    "convolution": _convolution,
    "batch_norm": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "addmm": _addmm,
    "slice": _slice,
    "constant_pad_nd": _pad,
    **{f"upsample_nearest{axes}d": _nearest for axes in (1, 2, 3)},
    **{f"{kind}_pool{axes}d": _pool(f"{kind}_pool{axes}d") for kind in ("max", "avg") for axes in (1, 2, 3)},
    **{f"max_pool{axes}d_with_indices": _pool(f"max_pool{axes}d") for axes in (2, 3)},
}
"""Operations whose arguments ATen orders otherwise."""
