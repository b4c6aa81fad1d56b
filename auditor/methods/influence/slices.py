"""Slices: a network f cut into h and g with f = g ∘ h (thesis def. 3.1), from the graph of its operations."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError

from auditor.errors import Unsupported
from auditor.terms import Slice


class Cut(NamedTuple):
    """f = after ∘ before; where `until` was given, f is the network up to that layer's output."""

    before: Callable[[Tensor], Tensor]
    after: Callable[[Tensor], Tensor]


def cut(model: nn.Module, slice: Slice, *, until: str | None = None) -> Cut:
    """h and g at `slice`, sharing the model's parameters; only the operations after the slice are in g.

    `until` ends g at that layer's output instead of the logits. Layers are named as in the network itself, whether or
    not it is wrapped in an audited model. Raises Unsupported, naming the layer, where the network cannot be traced,
    calls the layer not exactly once, or has a path from the input to the output that goes around the slice: g would
    not be a function of the slice alone.
    """
    if slice.layer is None and until is None:
        return Cut(identity, model)
    graph, calls = trace(model)
    source = _source(graph)
    start, end = source, _output(graph)
    if slice.layer is not None:
        call = _only(calls.get(layer_name(model, slice.layer), []), slice.layer)
        start = call.input if slice.at == "input" else call.output
    if until is not None:
        end = _only(calls.get(layer_name(model, until), []), until).output
    before = identity if start is source else between(model, graph, source, start)
    return Cut(before, between(model, graph, start, end))


def layer_name(model: nn.Module, layer: str) -> str:
    """The dotted name by which `model` itself holds the layer that its network calls `layer`.

    Raises Unsupported, with the names there are, if there is none.
    """
    names = {name for name, _ in model.named_modules() if name}
    for name in (layer, f"network.{layer}"):
        if name in names:
            return name
    known = ", ".join(sorted(name.removeprefix("network.") for name in names))
    raise Unsupported(f"no layer {layer!r} in the network", node=layer, remedy=f"Its layers are {known}.", code="layer")


class Call(NamedTuple):
    """One call of a module: the values that go in and come out."""

    input: fx.Node
    output: fx.Node


class _Tracer(fx.Tracer):
    """Keeps torch's own modules and modules without children whole, and notes what enters and leaves each module."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[Call]] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return next(m.children(), None) is None or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        output = super().call_module(m, forward, args, kwargs)
        if args and isinstance(args[0], fx.Proxy) and isinstance(output, fx.Proxy):
            self.calls.setdefault(self.path_of_module(m), []).append(Call(args[0].node, output.node))
        return output


def trace(model: nn.Module) -> tuple[fx.Graph, dict[str, list[Call]]]:
    """The graph of the model's operations, and in it the calls of each module that maps one tensor to one.

    Raises Unsupported where the network's Python depends on the values it computes.
    """
    tracer = _Tracer()
    try:
        return tracer.trace(model), tracer.calls
    except (TraceError, TypeError, RuntimeError) as error:
        raise Unsupported(
            f"the network cannot be cut at a layer: {error}",
            remedy="Write its forward pass without branches on tensor values or shapes, or use `slice: input`.",
            code="untraceable",
        ) from error


def between(model: nn.Module, graph: fx.Graph, start: fx.Node, end: fx.Node) -> fx.GraphModule:
    """The function from the value of `start` to the value of `end`.

    Raises Unsupported if `end` depends on the network's input around `start`, or does not depend on `start`.
    """
    needed: set[fx.Node] = set()
    pending = [end]
    while pending:
        node = pending.pop()
        if node not in needed:
            needed.add(node)
            pending += [] if node is start else node.all_input_nodes
    if start not in needed:
        raise Unsupported(f"{end.name} does not depend on {start.name}", node=start.name, code="slice")
    if start.op != "placeholder" and any(node.op == "placeholder" for node in needed):
        raise Unsupported(
            f"the slice at {start.name} is bypassed: the output also depends on the input around it",
            node=start.name,
            remedy="Cut after the layer where the paths join again.",
            code="bypassed",
        )
    piece = fx.Graph()
    copies = {start: piece.placeholder("z")}
    for node in graph.nodes:
        if node in needed and node is not start:
            copies[node] = piece.node_copy(node, copies.__getitem__)
    piece.output(copies[end])
    return fx.GraphModule(model, piece)


def affine_prefix(model: nn.Module, x: Tensor) -> Cut:
    """The network's leading affine operations as h, the rest as g; h is the identity where nothing can be split off.

    What comes before the first non-linearity need not be evaluated along a straight line: there it is a straight line
    too, and the gradient behind it is one linear map of the mean gradient before it. Where a first convolution widens
    the input it stays in g, as points of the line are then cheaper to hold before it than behind it.
    """
    try:
        graph, _ = trace(model)
    except Unsupported:
        return Cut(identity, model)
    source = end = _source(graph)
    candidates = []
    while len(end.users) == 1 and _is_affine(model, user := next(iter(end.users)), end):
        candidates.append(end := user)
    for end in reversed(candidates):
        before = between(model, graph, source, end)
        with torch.no_grad():
            if before(x[:1]).numel() <= x[:1].numel():
                return Cut(before, between(model, graph, end, _output(graph)))
    return Cut(identity, model)


_AFFINE = (
    nn.Identity,
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Flatten,
    nn.ZeroPad2d,
    nn.PixelUnshuffle,
)
_SHIFTS_AND_SCALES = (operator.add, operator.sub, operator.mul, operator.truediv, torch.add, torch.sub, torch.mul)


def _is_affine(model: nn.Module, node: fx.Node, value: fx.Node) -> bool:
    if node.op == "call_module":
        module = model.get_submodule(str(node.target))
        return type(module) in _AFFINE or (isinstance(module, nn.modules.batchnorm._BatchNorm) and not module.training)
    if node.op != "call_function" or node.target not in _SHIFTS_AND_SCALES or node.args.count(value) != 1:
        return False
    others = [operand for operand in node.all_input_nodes if operand is not value]
    divides = node.target is operator.truediv and node.args[0] is not value
    return not divides and all(operand.op == "get_attr" for operand in others)


def _only(calls: list[Call], layer: str) -> Call:
    if len(calls) != 1:
        raise Unsupported(
            f"layer {layer!r} maps a tensor to a tensor {len(calls)} times in one forward pass; once was expected",
            node=layer,
            code="layer",
        )
    return calls[0]


def _source(graph: fx.Graph) -> fx.Node:
    return next(node for node in graph.nodes if node.op == "placeholder")


def _output(graph: fx.Graph) -> fx.Node:
    output = next(node for node in graph.nodes if node.op == "output")
    (value,) = output.all_input_nodes
    return value


def identity(x: Tensor) -> Tensor:
    """h where the slice is the input itself."""
    return x
