"""Symbolic tracing of a forward pass (torch.fx), and refusal of what a trace would not show.

A trace sees neither hooks nor methods patched on an instance, so modules that have any are refused. Left to itself
fx records `y += z` as a sum that leaves y alone, and does not notice `x.data = ...`; the values traced here record the
first as what it is and refuse the second.
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import fx, nn
from torch.nn.modules import module as module_globals

from auditor.errors import Unsupported
from auditor.methods.robustness.operator_norms import SUPPORTED, exact_type

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs")
GLOBAL_HOOKS = ("_global_forward_hooks", "_global_forward_pre_hooks")
OVERRIDES = ("forward", "__call__", "_call_impl", "_wrapped_call_impl", "_conv_forward", "_check_input_dim",
             "_output_padding")  # fmt: skip
IN_PLACE = (
    "iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "imatmul", "iand", "ior", "ixor", "ilshift",
    "irshift",
)  # fmt: skip


def refuse_hidden(model: nn.Module) -> None:
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


class Untraceable(Unsupported):
    """The forward pass does what a symbolic trace cannot follow; torch.export may."""


class _Traced(fx.Proxy):
    """A value of the forward pass that records what is done to it, in place or not."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("tracer", "node"):
            raise TypeError(f"sets `{name}` of a value")
        super().__setattr__(name, value)


def _in_place(name: str) -> Callable[[Any, Any], Any]:
    function = getattr(operator, name)
    return lambda self, other: self.tracer.create_proxy("call_function", function, (self, other), {})


for _name in IN_PLACE:
    setattr(_Traced, f"__{_name}__", _in_place(_name))


class _Tracer(fx.Tracer):
    record_stack_traces = True

    def __init__(self, leaves: Collection[str]) -> None:
        super().__init__()
        self.leaves = leaves

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = exact_type(m) in SUPPORTED or module_qualified_name in self.leaves
        return known or super().is_leaf_module(m, module_qualified_name)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Traced(node, self)


def trace(model: nn.Module, leaves: Collection[str] = ()) -> fx.Graph:
    """The forward pass of `model` as a graph; modules named in `leaves` stay whole. Raises Untraceable, or
    Unsupported where another way of looking would not help either.
    """
    if exact_type(model) in SUPPORTED:
        graph = fx.Graph()
        graph.output(graph.call_module("", (graph.placeholder("x"),)))
        return graph
    try:
        return _Tracer(leaves).trace(model)
    except Unsupported:
        raise
    except Exception as error:
        raise Untraceable(
            f"{type(model).__name__}: the forward pass cannot be traced: {error}",
            node=type(model).__name__,
            remedy="write it without control flow on values and with one input",
        ) from error


def source_line(node: fx.Node) -> str | None:
    """The line of the user's code behind `node`, as "file:line: code"; None where it is torch's own."""
    foreign = (os.path.dirname(torch.__file__), os.path.dirname(__file__))
    frames = re.findall(r'File "(.*)", line (\d+), in .*\n\s*(.*)', node.stack_trace or "")
    for path, line, code in reversed(frames):
        if not path.startswith(foreign):
            return f"{os.path.basename(path)}:{line}: {code.strip()}"
    return None
