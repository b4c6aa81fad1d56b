"""From a traced forward pass to layers: each operation is matched with the layer that does the same, or refused."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor, fx, nn

from auditor.errors import Unsupported
from auditor.methods.robustness.elementary import ELEMENTARY, Assumed, Concatenation, PrependZero, Scale, Selection, Sum
from auditor.methods.robustness.layer_kinds import REARRANGEMENTS
from auditor.methods.robustness.memory import Memory
from auditor.methods.robustness.operations import (
    AFFINE,
    ARITHMETIC,
    FUNCTIONS,
    JOINS,
    LAYERS,
    METHODS,
    REASONS,
    SELECTIONS,
    SIZES,
)
from auditor.methods.robustness.operator_norms import DROPOUTS, SUPPORTED, check_layer, exact_type
from auditor.methods.robustness.resampling import PADDINGS
from auditor.methods.robustness.tracing import source_line

ROWS = 3
"""Inputs that shapes and index maps are found with; the comparison with the model uses another number."""

EXACT = ("t", "transpose", "permute", "view", "reshape", "flatten", "unsqueeze", "squeeze", "getitem", "T", "mT", "neg",
         "detach", "expand", "narrow", "contiguous")  # fmt: skip
"""What a forward pass may do to a weight before it uses it; none of these rounds."""


@dataclass(frozen=True)
class Value:
    """A value that depends on the network's input: its node's place, and what it is at zero [ROWS, ...]."""

    place: int
    sample: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.sample.shape[1:])


class Built(NamedTuple):
    """Fields of a `Node` each, and the place of the one that the forward pass returns."""

    nodes: list[tuple[str, Any, tuple[int, ...], tuple[int, ...], tuple[int, ...], str | None]]
    result: int


class Builder:
    """Walks a traced graph once, with the float64 tensors of `model`."""

    def __init__(
        self, model: nn.Module, input_shape: tuple[int, ...], device: torch.device, assumed: Mapping[str, float]
    ) -> None:
        self.model, self.input_shape, self.device, self.assumed = model, input_shape, device, assumed
        self.modules = dict(model.named_modules(remove_duplicate=False))
        self.nodes: list[Any] = []
        self.found: dict[fx.Node, Any] = {}
        self.memory = Memory()
        self.at: fx.Node | None = None

    def build(self, graph: fx.Graph) -> Built:
        for node in graph.nodes:
            self.at = node
            if node.op == "output":
                result = self._read(node.args[0])
                if not isinstance(result, Value):
                    self._refuse("the model returns something else than one tensor", "return the logits alone")
                return Built(self.nodes, result.place)
            self.found[node] = self._value(node)
        raise AssertionError("a traced graph ends in its output")

    def _refuse(self, what: str, remedy: str) -> NoReturn:
        assert self.at is not None
        node = str(self.at.target) if self.at.op == "call_module" else self.at.name
        line = source_line(self.at)
        raise Unsupported(f"{node}: {what}" + (f" ({line})" if line else ""), node=node, remedy=remedy)

    def _value(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            if self.nodes:
                self._refuse("the model takes more than one input", "close over the others, or make them buffers")
            sample = torch.zeros(ROWS, *self.input_shape, dtype=torch.float64, device=self.device)
            self.nodes.append(("input", None, (), self.input_shape, self.input_shape, None))
            return Value(0, sample)
        if node.op == "get_attr":
            return operator.attrgetter(str(node.target))(self.model)
        args = [self._read(argument) for argument in node.args]
        options = {key: self._read(argument) for key, argument in node.kwargs.items()}
        if node.op == "call_module":
            return self._module(str(node.target), args, options)
        if node.target is getattr:
            name, args = str(args[1]), args[:1]
            known = name in SIZES or name in ("T", "mT")
        elif node.op == "call_method":
            name = str(node.target)
            known = name in METHODS or name in SIZES
        else:
            name = FUNCTIONS.get(node.target, getattr(node.target, "__name__", str(node.target)))
            known = node.target in FUNCTIONS or (name in ARITHMETIC and node.target is getattr(operator, name))
        if not known:
            self._refuse_operation(name)
        try:
            return self._call(name, args, options)
        except (TypeError, KeyError, IndexError, ValueError, AttributeError, RuntimeError) as error:
            self._refuse(f"the arguments of `{name}` are not understood: {error}", "use a supported layer")

    def _refuse_operation(self, name: str) -> NoReturn:
        what, remedy = REASONS.get(
            name.rstrip("_"), (f"no bound is known for the operation `{name}`", "use a supported layer")
        )
        self._refuse(what, remedy)

    def _read(self, argument: Any) -> Any:
        """An argument with the nodes in it replaced by their values."""
        if isinstance(argument, fx.Node):
            value = self.found[argument]
            for each in value if isinstance(value, (tuple, list)) else (value,):
                by = self.memory.changed_by(each.place) if isinstance(each, Value) else None
                if by is not None:
                    self._refuse(f"reads a value after {by} changed it in place", "do not change it in place")
            return value
        if isinstance(argument, (list, tuple)):
            return tuple(self._read(each) for each in argument)
        if isinstance(argument, slice):
            return slice(self._read(argument.start), self._read(argument.stop), self._read(argument.step))
        return argument

    def _module(self, name: str, args: list[Any], options: dict[str, Any]) -> Any:
        if len(args) != 1 or options or not isinstance(args[0], Value):
            self._refuse("does not take one value of the network alone", "pass tensors one at a time")
        layer = self.modules[name]
        if name in self.assumed and exact_type(layer) not in SUPPORTED:
            return self._layer(Assumed(layer, self.assumed[name]), args)
        return self._layer(layer, args)

    def _call(self, name: str, args: list[Any], options: dict[str, Any]) -> Any:
        """What an operation gives; `name` ends in an underscore where it works in place."""
        plain = name.rstrip("_")
        if not args and "input" in options:
            args = [options.pop("input")]
        values = [each for each in _flat(args) + _flat(list(options.values())) if isinstance(each, Value)]
        if not values:
            return self._constant(name, args, options)
        if name == "getitem" and isinstance(args[0], tuple):
            return args[0][args[1]]
        if plain in SIZES:
            return self._size(plain, args)
        if plain in JOINS:
            return self._join(plain, *args, **options)
        if plain in AFFINE:
            return self._affine(plain, args, options, in_place=name != plain)
        if plain in REASONS:
            self._refuse_operation(plain)
        if not isinstance(args[0], Value) or (len(values) > 1 and plain not in ("expand_as", "view_as", "reshape_as")):
            self._refuse(f"`{plain}` is not applied to one value of the network alone", "use a supported layer")
        if plain in SELECTIONS:
            return self._select(plain, args, options)
        layer: Any = LAYERS[plain](args[0].shape, *args[1:], **options)
        if layer is None:
            self._refuse(f"no bound is known for `{plain}` with these arguments", "use a supported layer")
        if name != plain:
            layer.inplace = True
        return self._layer(layer.to(self.device), args[:1])

    def _constant(self, name: str, args: list[Any], options: dict[str, Any]) -> Any:
        """An operation on numbers and weights alone."""
        tensors = [each for each in _flat(args) if isinstance(each, Tensor)]
        if tensors and name in EXACT:
            if name == "neg":
                return -args[0]
            run = SELECTIONS.get(name) or getattr(torch.Tensor, name)
            return run(*args, **options)
        if tensors or name not in ARITHMETIC or options:
            self._refuse(f"computes a constant by `{name}`", "store the result as a buffer, or parametrise the weight")
        return operator.getitem(*args) if name == "getitem" else getattr(operator, name)(*args)

    def _size(self, name: str, args: list[Any]) -> Any:
        found = getattr(args[0].sample, name)
        return found(*args[1:]) if callable(found) else found

    def _layer(self, layer: Any, values: list[Value]) -> Value:
        """A node that applies `layer`, checked before it runs."""
        assert self.at is not None
        name = self.at.name if self.at.op != "call_module" else str(self.at.target) or "model"
        shape = values[0].shape
        if not isinstance(layer, ELEMENTARY):
            try:
                check_layer(layer, shape, name)
            except Unsupported as error:
                line = source_line(self.at)
                where = f"{error.what} ({line})" if line else error.what
                raise Unsupported(where, node=error.node, remedy=error.remedy) from None
        try:
            with torch.no_grad():
                sample = layer(*(value.sample.clone() for value in values))
        except Exception as error:
            raise Unsupported(
                f"{name} cannot run on inputs of shape {shape}: {error}",
                node=name,
                remedy="check the model's input shape",
            ) from error
        if not isinstance(sample, Tensor) or sample.ndim == 0 or len(sample) != ROWS:
            self._refuse("mixes the inputs of a batch", "keep dimension 0 for the batch")
        places = tuple(value.place for value in values)
        self.nodes.append((name, layer, places, shape, tuple(sample.shape[1:]), source_line(self.at)))
        place = len(self.nodes) - 1
        if getattr(layer, "inplace", False) and exact_type(layer) not in DROPOUTS:
            self.memory.change(places[0], place, self.at.name)
        elif exact_type(layer) in (*REARRANGEMENTS, *DROPOUTS, *PADDINGS) or isinstance(layer, (Selection, Assumed)):
            self.memory.share(place, places[0])
        return Value(place, sample)

    def _select(self, name: str, args: list[Any], options: dict[str, Any]) -> Any:
        value = args[0]
        fill = 0.0
        if name == "pad" and (args[2] if len(args) > 2 else options.get("mode", "constant")) == "constant":
            fill = float((args[3] if len(args) > 3 else options.get("value")) or 0.0)
            args, options = [*args[:2]], {"pad": options["pad"]} if "pad" in options else {}
        count = value.sample[0].numel()
        numbers = torch.arange(1, ROWS * count + 1, dtype=torch.float64, device=self.device).reshape(value.sample.shape)
        rest = [each.sample if isinstance(each, Value) else each for each in args[1:]]
        moved = SELECTIONS[name](numbers, *rest, **options)
        parts = moved if isinstance(moved, (tuple, list)) else (moved,)
        made = tuple(self._selection(value, part, count, fill) for part in parts)
        return made if isinstance(moved, (tuple, list)) else made[0]

    def _selection(self, value: Value, moved: Tensor, count: int, fill: float) -> Value:
        if moved.ndim == 0 or len(moved) != ROWS:
            self._refuse("mixes the inputs of a batch", "keep dimension 0 for the batch")
        first = moved[0].flatten().to(torch.int64)
        for row in range(ROWS):
            own = torch.where(first > 0, first + row * count, 0)
            if bool((first > count).any()) or not torch.equal(moved[row].flatten().to(torch.int64), own):
                self._refuse("mixes the inputs of a batch", "keep dimension 0 for the batch")
        return self._layer(Selection(first - 1, tuple(moved.shape[1:]), fill), [value])

    def _join(self, name: str, tensors: Any, dim: int = 0, *, axis: int | None = None) -> Value:
        values = list(tensors)
        if not all(isinstance(each, Value) for each in values):
            self._refuse("joins values with constants", "leave the constant out")
        place = dim if axis is None else axis
        place %= values[0].sample.ndim + (name == "stack")
        if place == 0:
            self._refuse("joins values along the batch", "keep dimension 0 for the batch")
        if name == "stack":
            values = [self._select("unsqueeze", [value, place], {}) for value in values]
        zero, last = self.nodes[values[0].place], values[-1]
        empty = isinstance(zero[1], Selection) and bool((zero[1].index < 0).all()) and zero[1].fill == 0.0
        if len(values) == 2 and place == 1 and empty and zero[4] == last.shape == (1,):
            return self._layer(PrependZero(), [last])
        return self._layer(Concatenation(place), values)

    def _affine(self, name: str, args: list[Any], options: dict[str, Any], *, in_place: bool) -> Value:
        if name in ("neg", "negative"):
            (value,) = args
            made = self._scaled(value, -1.0, 0.0)
        else:
            first, second = args
            made = self._combined(name, first, second, options.pop("alpha", 1))
        if options:
            self._refuse(f"`{name}` takes {', '.join(options)}", "use plain arithmetic")
        if in_place:
            if not isinstance(args[0], Value) or made.shape != args[0].shape:
                self._refuse("changes a constant in place", "do not change it in place")
            assert self.at is not None
            self.memory.change(args[0].place, made.place, self.at.name)
        return made

    def _combined(self, name: str, first: Any, second: Any, alpha: Any) -> Value:
        kind = {"subtract": "sub", "multiply": "mul", "truediv": "div", "true_divide": "div"}.get(name, name)
        if kind == "rsub":
            kind, first, second = "sub", second, first
        if isinstance(first, Value) and isinstance(second, Value):
            if kind not in ("add", "sub"):
                self._refuse(
                    f"`{name}` of two values that depend on the input has no Lipschitz constant",
                    "name `method: smoothing` in the check",
                )
            if alpha != 1:
                second = self._scaled(second, alpha, 0.0)
            shape = torch.broadcast_shapes(first.sample.shape, second.sample.shape)
            both = [
                each if each.sample.shape == shape else self._select("expand", [each, tuple(shape)], {})
                for each in (first, second)
            ]
            return self._layer(Sum((1, 1 if kind == "add" else -1)), both)
        if isinstance(first, Value):
            if kind == "add":
                return self._scaled(first, 1.0, _times(second, alpha))
            if kind == "sub":
                return self._scaled(first, 1.0, _times(second, -alpha))
            if kind == "div":
                return self._scaled(first, _reciprocal(second), 0.0, divisor=torch.as_tensor(second).double())
            return self._scaled(first, second, 0.0)
        if kind == "add" and alpha == 1:
            return self._scaled(second, 1.0, first)
        if kind == "sub" and alpha == 1:
            return self._scaled(second, -1.0, first)
        if kind != "mul":
            self._refuse(f"`{name}` of a constant by a value has no bound", "use a supported layer")
        return self._scaled(second, first, 0.0)

    def _scaled(self, value: Value, scale: Any, shift: Any, *, divisor: Tensor | None = None) -> Value:
        numbers = [each for each in (scale, shift) if not isinstance(each, Tensor)]
        if any(isinstance(each, bool) or not isinstance(each, (int, float)) for each in numbers):
            self._refuse("combines a value with something that is no number and no tensor", "use a supported layer")
        tensors = [torch.as_tensor(each, dtype=torch.float64, device=self.device) for each in (scale, shift)]
        layer = Scale(*(tensor.detach() for tensor in tensors), divisor=divisor)
        if not layer.fits(value.shape):
            shape = torch.broadcast_shapes(value.sample[:1].shape, *(each.shape for each in tensors))
            grown = self._select("expand", [value, (ROWS, *shape[1:])], {}) if shape[0] == 1 else value
            if not layer.fits(grown.shape):
                self._refuse("does not treat all inputs of a batch alike, by finite numbers", "repair the constant")
            value = grown
        return self._layer(layer, [value])


def _times(constant: Any, factor: Any) -> Any:
    return constant if factor == 1 else -constant if factor == -1 else constant * factor


def _reciprocal(constant: Any) -> Any:
    return torch.as_tensor(constant, dtype=torch.float64).reciprocal()


def _flat(values: Any) -> list[Any]:
    if isinstance(values, (list, tuple)):
        return [inner for each in values for inner in _flat(each)]
    return [values]
