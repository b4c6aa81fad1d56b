"""A network as the chain of layers its forward pass runs, or a refusal that names the node where it is none.

The forward pass is traced symbolically (torch.fx), so that functional calls, reused modules and overridden `forward`
methods show up as what they do. A trace sees neither hooks nor instance-level patches, so modules that have any are
refused; and the chain found is run beside the model in float64, so that whatever else hides makes the two disagree.
"""

from __future__ import annotations

import copy
import itertools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.modules import module as module_globals

from auditor.errors import Unsupported
from auditor.methods.robustness.elementary import Abs, PrependZero, Reshape, Scale
from auditor.methods.robustness.operator_norms import SUPPORTED, check_layer, exact_type

PROBES = (0.0, 1.0, 4.0)
"""Half-widths of the random inputs on which chain and model are compared, around ½."""

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs")
GLOBAL_HOOKS = ("_global_forward_hooks", "_global_forward_pre_hooks")
OVERRIDES = ("forward", "__call__", "_call_impl", "_wrapped_call_impl", "_conv_forward", "_check_input_dim")


class Step(NamedTuple):
    """One layer of a chain, in float64, with the shapes of its input and output (without the batch)."""

    name: str
    layer: Any
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]


def chain(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[Step, ...]:
    """The layers that `model` applies, one after the other, to inputs of `input_shape`, as a float64 copy.

    Raises Unsupported, naming the node, for hooks, patches, branches, and operations or layers without a known bound.
    """
    _refuse_hidden(model)
    try:
        double = copy.deepcopy(model).double()
    except Exception as error:
        raise Unsupported(
            f"the model cannot be copied to float64: {error}", node="model", remedy="keep only weights in the module"
        ) from error
    before = {name: tensor.detach().clone() for name, tensor in double.state_dict().items()}
    layers = _layers(double)
    device = next(itertools.chain(double.parameters(), double.buffers()), torch.empty(0)).device
    steps = _shaped(layers, input_shape, device)
    _compare(double, steps, input_shape, device)
    after = double.state_dict()
    for name, tensor in before.items():
        if not torch.equal(tensor.nan_to_num(), after[name].nan_to_num()):
            raise Unsupported(
                f"the forward pass changes `{name}`, so the model is not one function",
                node=name,
                remedy="call model.eval(), or move the update out of forward",
            )
    return steps


def _refuse_hidden(model: nn.Module) -> None:
    """Raises Unsupported for what a symbolic trace does not see: hooks and methods replaced on an instance."""
    for hooks in GLOBAL_HOOKS:
        if getattr(module_globals, hooks, None):
            raise Unsupported("global forward hooks are registered", node="model", remedy="remove them")
    for name, module in model.named_modules():
        subject = name or type(module).__name__
        for hooks in HOOKS:
            if getattr(module, hooks, None):
                raise Unsupported(
                    f"{subject} has forward hooks, which may change what it computes",
                    node=subject,
                    remedy="remove them; for spectral_norm and weight_norm use torch.nn.utils.parametrizations",
                )
        patched = [method for method in OVERRIDES if method in vars(module) and not isinstance(module, fx.GraphModule)]
        if patched:
            raise Unsupported(
                f"{subject} has {patched[0]} replaced on the instance",
                node=subject,
                remedy="define it in the module's class",
            )


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return exact_type(m) in SUPPORTED or super().is_leaf_module(m, module_qualified_name)


def _layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Names and layers in the order of the forward pass."""
    if exact_type(model) in SUPPORTED:
        return [("model", model)]
    try:
        graph = _Tracer().trace(model)
    except Unsupported:
        raise
    except Exception as error:
        raise Unsupported(
            f"{type(model).__name__}: the forward pass cannot be traced: {error}",
            node=type(model).__name__,
            remedy="write it without control flow on values and with one input",
        ) from error
    modules = dict(model.named_modules(remove_duplicate=False))
    layers: list[tuple[str, nn.Module]] = []
    current: fx.Node | None = None
    aside: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder":
            if current is not None:
                raise Unsupported(f"{node.name}: the model takes more than one input", node=node.name, remedy=BRANCH)
            current = node
        elif node.op == "get_attr" or _is_shape_of(node, current, aside) or _is_zeros_like(node, current):
            aside.add(node)
        elif node.op == "output":
            if node.args[0] is not current:
                raise Unsupported("the model returns something else than its last value", node="output", remedy=BRANCH)
        else:
            layer = _layer(node, current, modules, model)
            layers.append((str(node.target) if node.op == "call_module" else node.name, layer))
            current = node
    return layers


BRANCH = "only chains of layers are supported so far: no residual, concatenating or multi-input networks"


def _layer(node: fx.Node, current: fx.Node | None, modules: dict[str, nn.Module], model: nn.Module) -> nn.Module:
    """The layer that `node` applies to `current`. Raises Unsupported."""
    if node.op == "call_module":
        if node.args != (current,) or node.kwargs:
            raise Unsupported(
                f"{node.target}: does not take the previous layer's value alone", node=str(node.target), remedy=BRANCH
            )
        return modules[str(node.target)]
    name = str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", str(node.target))
    build = OPERATIONS.get(name.rstrip("_") if not name.startswith("_") else name)
    known = node.op == "call_method" or node.target in FUNCTIONS
    if build is None or not known:
        raise Unsupported(
            f"{node.name}: no bound is known for the operation `{name}`", node=node.name, remedy="use a supported layer"
        )
    arguments = [_constant(argument, current, model) for argument in node.args]
    keywords = {key: _constant(argument, current, model) for key, argument in node.kwargs.items() if key != "inplace"}
    alone = build is _concatenate or sum(argument is CURRENT for argument in arguments) == 1
    try:
        layer = build(*arguments, **keywords) if alone else None
    except TypeError:
        layer = None
    if layer is None:
        raise Unsupported(
            f"{node.name}: `{name}` is not applied to the previous value alone", node=node.name, remedy=BRANCH
        )
    return layer


CURRENT = object()
"""Stands for the value of the previous layer among the arguments of an operation."""


def _constant(argument: Any, current: fx.Node | None, model: nn.Module) -> Any:
    """The value of an argument: a number, a tensor of the model, or `CURRENT`; other nodes stay nodes."""
    if isinstance(argument, (list, tuple)):
        return tuple(_constant(each, current, model) for each in argument)
    if argument is current:
        return CURRENT
    if not isinstance(argument, fx.Node):
        return argument
    if argument.op == "get_attr":
        return operator.attrgetter(str(argument.target))(model)
    return argument


def _is_shape_of(node: fx.Node, current: fx.Node | None, aside: set[fx.Node]) -> bool:
    """Whether `node` reads the batch's size: x.size(0), x.shape[0], len-free forms of either."""
    if node.op == "call_method" and node.target == "size":
        return bool(node.args in ((current, 0), (current,)))
    if node.target is getattr:
        return bool(node.args == (current, "shape"))
    return node.target is operator.getitem and node.args[0] in aside and bool(node.args[1] == 0)


def _is_zeros_like(node: fx.Node, current: fx.Node | None) -> bool:
    return node.target is torch.zeros_like and bool(node.args == (current,)) and not node.kwargs


def _affine(scale: Callable[[Any], Any], shift: Callable[[Any], Any]) -> Callable[..., nn.Module | None]:
    def build(first: Any, second: Any) -> nn.Module | None:
        constant = second if first is CURRENT else first
        if not isinstance(constant, (int, float, Tensor)) or isinstance(constant, bool):
            return None
        value = torch.as_tensor(constant, dtype=torch.float64).detach()
        return Scale(scale(value), shift(value))

    return build


def _subtract(first: Any, second: Any) -> nn.Module | None:
    if first is CURRENT:
        return _affine(torch.ones_like, torch.neg)(first, second)
    return _affine(lambda c: -torch.ones_like(c), lambda c: c)(first, second)


def _divide(first: Any, second: Any) -> nn.Module | None:
    return _affine(torch.reciprocal, torch.zeros_like)(first, second) if first is CURRENT else None


def _negate(first: Any) -> nn.Module:
    return Scale(torch.tensor(-1.0, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64))


def _reshape(first: Any, *sizes: Any) -> nn.Module | None:
    flat = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    head, *rest = flat
    if (head == -1 or isinstance(head, fx.Node)) and all(isinstance(size, int) for size in rest):
        return Reshape(tuple(rest))
    return None


def _flatten(first: Any, start_dim: int = 0, end_dim: int = -1) -> nn.Module:
    return nn.Flatten(start_dim, end_dim)


def _leaky(first: Any, negative_slope: float = 0.01) -> nn.Module:
    return nn.LeakyReLU(negative_slope)


def _concatenate(tensors: Any, dim: int = 0, **_: Any) -> nn.Module | None:
    if isinstance(tensors, (tuple, list)) and len(tensors) == 2 and dim in (1, -1):
        zeros, value = tensors
        if isinstance(zeros, fx.Node) and zeros.target is torch.zeros_like and value is CURRENT:
            return PrependZero()
    return None


OPERATIONS: dict[str, Callable[..., nn.Module | None]] = {
    "relu": lambda first: nn.ReLU(),
    "tanh": lambda first: nn.Tanh(),
    "sigmoid": lambda first: nn.Sigmoid(),
    "abs": lambda first: Abs(),
    "leaky_relu": _leaky,
    "flatten": _flatten,
    "view": _reshape,
    "reshape": _reshape,
    "contiguous": lambda first: nn.Identity(),
    "neg": _negate,
    "add": _affine(torch.ones_like, lambda c: c),
    "sub": _subtract,
    "mul": _affine(lambda c: c, torch.zeros_like),
    "truediv": _divide,
    "div": _divide,
    "cat": _concatenate,
}
"""From an operation's name to the layer that does the same, None where its arguments are not understood."""

FUNCTIONS = frozenset(
    (
        torch.relu, torch.tanh, torch.sigmoid, torch.abs, torch.flatten, torch.reshape, torch.neg, torch.add, torch.sub,
        torch.mul, torch.div, torch.cat, functional.relu, functional.leaky_relu, functional.tanh, functional.sigmoid,
        operator.add, operator.sub, operator.mul, operator.truediv, operator.neg,
    )
)  # fmt: skip


def _shaped(layers: list[tuple[str, Any]], input_shape: tuple[int, ...], device: torch.device) -> tuple[Step, ...]:
    """The layers with the shapes met on the way, each checked before it runs."""
    value = torch.zeros(2, *input_shape, dtype=torch.float64, device=device)
    steps = []
    for name, layer in layers:
        shape = tuple(value.shape[1:])
        if not isinstance(layer, (Abs, PrependZero, Reshape, Scale)):
            check_layer(layer, shape, name)
        elif not layer.fits(shape):
            raise Unsupported(f"{name}: does not map inputs of shape {shape} one by one", node=name, remedy=BRANCH)
        value = _run(name, layer, value)
        steps.append(Step(name, layer, shape, tuple(value.shape[1:])))
        if value.shape[0] != 2:
            raise Unsupported(
                f"{name}: mixes the inputs of a batch", node=name, remedy="keep dimension 0 for the batch"
            )
    return tuple(steps)


def _run(name: str, layer: nn.Module, value: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            return layer(value.clone())
    except Exception as error:
        raise Unsupported(
            f"{name} cannot run on inputs of shape {tuple(value.shape[1:])}: {error}",
            node=name,
            remedy="check the model's input shape",
        ) from error


def _compare(model: nn.Module, steps: tuple[Step, ...], input_shape: tuple[int, ...], device: torch.device) -> None:
    """Raises Unsupported where the chain and the model do not compute the same in float64."""
    generator = torch.Generator().manual_seed(0)
    for width in PROBES:
        noise = torch.rand(2, *input_shape, generator=generator, dtype=torch.float64).to(device)
        inputs = 0.5 + width * (2 * noise - 1)
        value = inputs
        for step in steps:
            value = _run(step.name, step.layer, value)
        expected = _run("model", model, inputs)
        magnitude = float(expected.nan_to_num(0.0, 0.0, 0.0).abs().max()) if expected.numel() else 0.0
        same = value.shape == expected.shape and value.dtype == expected.dtype
        if not same or not torch.allclose(value, expected, rtol=1e-9, atol=1e-11 * magnitude, equal_nan=True):
            raise Unsupported(
                "the model computes something else than the layers its forward pass shows",
                node=type(model).__name__,
                remedy="look for code that runs outside of forward, or depends on the data",
            )
