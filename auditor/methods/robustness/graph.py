"""A network as the graph of layers its forward pass runs, or a refusal that names the node where it is none.

The forward pass is traced symbolically, so that functional calls, reused modules and overridden `forward` methods show
up as what they do, and each operation is turned into a layer; where that fails torch.export is asked for the graph.
What the graph computes is then compared with the model in float64, so that whatever else hides makes the two disagree.
"""

from __future__ import annotations

import copy
import itertools
import math
import operator
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from auditor.errors import Unsupported
from auditor.methods.robustness.building import Builder
from auditor.methods.robustness.exporting import export
from auditor.methods.robustness.layer_kinds import exact_type
from auditor.methods.robustness.tracing import Untraceable, refuse_hidden, trace

PROBES = (0.0, 1.0, 4.0)
"""Half-widths of the random inputs on which graph and model are compared, around ½."""

LIKE = {torch.float32: 1e-2, torch.float16: 0.2, torch.bfloat16: 0.5}
"""By how much of the largest logit a model may depart, in the dtype of its tensors, from the graph run in that dtype:
above all that another order of operations can do, far below what other code does.
"""


class Node(NamedTuple):
    """One use of a layer, in float64: `inputs` are the places of the values it takes among the network's nodes, shapes
    are without the batch, `line` is the user's code. The first node is the network's input and has no layer.
    """

    name: str
    layer: Any
    inputs: tuple[int, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    line: str | None


class Network(NamedTuple):
    """Nodes in an order in which inputs come first; the last one gives the logits."""

    nodes: tuple[Node, ...]

    def values(self, inputs: Tensor) -> Iterator[Tensor]:
        """The value of every node at `inputs` [batch, ...], each released once no later node takes it."""
        last = {place: node for node, each in enumerate(self.nodes) for place in each.inputs}
        held: dict[int, Tensor] = {0: inputs}
        yield inputs
        for place, node in enumerate(self.nodes[1:], start=1):
            taken = [held[each] for each in node.inputs]
            if getattr(node.layer, "inplace", False):
                taken = [value.clone() for value in taken]
            held[place] = run(node.name, node.layer, *taken)
            for each in node.inputs:
                if last[each] == place:
                    held.pop(each, None)
            yield held[place]

    def __call__(self, inputs: Tensor) -> Tensor:
        """The logits [batch, classes]."""
        return deque(self.values(inputs), maxlen=1)[0]


def network(model: nn.Module, input_shape: tuple[int, ...], assumed: Mapping[str, float] | None = None) -> Network:
    """The graph of layers that `model` applies to inputs of `input_shape`, as a float64 copy.

    `assumed` gives Lipschitz constants in the 2-norm of modules, by name, that the user vouches for. Such a module
    stays whole, and only where the network has no bound of ours without its constant. Raises Unsupported, naming the
    node, for hooks, patches, and operations or layers without a known bound.
    """
    refuse_hidden(model)
    modules = dict(model.named_modules(remove_duplicate=False))
    for name, constant in (assumed or {}).items():
        if name not in modules or not 0 <= constant < math.inf:
            raise Unsupported(
                f"{constant} is assumed of `{name}`, expected a constant of at least 0 of a module of the model",
                node=name,
                remedy="name the module as model.named_modules() does",
            )
    try:
        return _network(model, input_shape, {})
    except Unsupported:
        if not assumed:
            raise
    kept = dict(assumed)
    found = _network(model, input_shape, kept)
    for name in assumed if len(assumed) > 1 else ():
        rest = {other: constant for other, constant in kept.items() if other != name}
        try:
            found, kept = _network(model, input_shape, rest), rest
        except Unsupported:
            continue
    return found


def _network(model: nn.Module, input_shape: tuple[int, ...], assumed: Mapping[str, float]) -> Network:
    """As `network`, with every constant of `assumed` taken."""
    try:
        double = copy.deepcopy(model).double()
    except Exception as error:
        raise Unsupported(
            f"the model cannot be copied to float64: {error}", node="model", remedy="keep only weights in the module"
        ) from error
    device = next(itertools.chain(double.parameters(), double.buffers()), torch.empty(0)).device
    with torch.no_grad():
        batches = (2,)
        try:
            graph = trace(double, assumed)
        except Untraceable as error:
            if assumed:
                raise
            graph, batches = export(double, tuple(input_shape), device, error), (1, 2, 5)
        read = [str(node.target) for node in graph.nodes if node.op == "get_attr"]
        before = {name: tensor.detach().clone() for name, tensor in _held(double, read).items()}
        built = Builder(double, input_shape, device, assumed).build(graph)
    found = Network(_needed([Node(*each) for each in built.nodes], built.result))
    _compare(double, found, input_shape, device, batches)
    after = _held(double, read)
    for name, tensor in before.items():
        if not torch.equal(tensor.nan_to_num(), after[name].nan_to_num()):
            raise Unsupported(
                f"the forward pass changes `{name}`, so the model is not one function",
                node=name,
                remedy="call model.eval(), or move the update out of forward",
            )
    _compare_own(model, found, input_shape, device)
    return found


def _held(model: nn.Module, read: list[str]) -> dict[str, Any]:
    """The tensors that a model keeps, those of no state dict included which its forward pass reads."""
    found = {name: operator.attrgetter(name)(model) for name in read}
    return {name: each for name, each in found.items() if isinstance(each, Tensor)} | model.state_dict()


def _needed(nodes: list[Node], result: int) -> tuple[Node, ...]:
    """The input and the nodes that the one at `result` depends on, which comes last."""
    wanted = {0, result}
    for place in range(result, 0, -1):
        if place in wanted:
            wanted.update(nodes[place].inputs)
    places = {old: new for new, old in enumerate(sorted(wanted))}
    return tuple(
        nodes[old]._replace(inputs=tuple(places[each] for each in nodes[old].inputs)) for old in sorted(wanted)
    )


def run(name: str, layer: Any, *values: Tensor) -> Tensor:
    """The layer's output. Raises Unsupported where it cannot run on such values."""
    try:
        with torch.no_grad():
            return layer(*values)
    except Exception as error:
        shapes = ", ".join(str(tuple(value.shape[1:])) for value in values)
        raise Unsupported(
            f"{name} cannot run on inputs of shape {shapes}: {error}", node=name, remedy="check the model's input shape"
        ) from error


def _compare(
    model: nn.Module, found: Network, input_shape: tuple[int, ...], device: torch.device, batches: tuple[int, ...]
) -> None:
    """Raises Unsupported where graph and model do not compute the same in float64, in batches of these sizes."""
    for inputs in _probes(input_shape, device, batches):
        value = found(inputs.clone())
        expected = run("model", model, inputs)
        same = isinstance(expected, Tensor) and (value.shape, value.dtype) == (expected.shape, expected.dtype)
        magnitude = float(expected.nan_to_num(0.0, 0.0, 0.0).abs().max()) if same and expected.numel() else 0.0
        if not same or not torch.allclose(value, expected, rtol=1e-9, atol=1e-11 * magnitude, equal_nan=True):
            raise Unsupported(
                "the model computes something else than the layers its forward pass shows",
                node=type(model).__name__,
                remedy="look for code that runs outside of forward, or depends on the data",
            )


def _compare_own(model: nn.Module, found: Network, input_shape: tuple[int, ...], device: torch.device) -> None:
    """Raises Unsupported where the model itself, as it stands, is no copy of what was compared in float64: by a copy of
    its own making, or by code that depends on the dtype.
    """
    dtype = next((each.dtype for each in model.parameters() if each.is_floating_point()), torch.float32)
    if dtype == torch.float64:
        layers = found
    elif dtype in LIKE:
        layers = cast(found, dtype)
    else:
        return
    for inputs in _probes(input_shape, device, (2,)):
        given = inputs.to(dtype)
        try:
            value, expected = layers(given.clone()), run("model", model, given)
        except Unsupported:
            # Not every layer runs in half precision, nor every model in its own dtype: then it gives no logits there.
            return
        same = isinstance(expected, Tensor) and value.shape == expected.shape
        if not same or not _alike(value.double(), expected.double(), LIKE.get(dtype, 1e-9)):
            raise Unsupported(
                f"the model computes something else in {str(dtype).removeprefix('torch.')} than its copy in float64",
                node=type(model).__name__,
                remedy="look for code that depends on the dtype, or a __deepcopy__ that makes another model",
            )


def _alike(value: Tensor, expected: Tensor, tolerance: float) -> bool:
    """Whether no number that both hold differs by more than `tolerance` of the largest."""
    known = value.isfinite() & expected.isfinite()
    value, expected = value[known], expected[known]
    if not len(value):
        return True
    return bool((value - expected).abs().amax() <= tolerance * torch.maximum(value.abs(), expected.abs()).amax())


def cast(network: Network, dtype: torch.dtype) -> Network:
    """The same layers in another dtype, weights that are computed rounded to it; one that is used twice stays one."""
    made: dict[int, Any] = {}
    for node in network.nodes[1:]:
        if id(node.layer) not in made:
            made[id(node.layer)] = _stored(copy.deepcopy(node.layer)).to(dtype)
    return Network((network.nodes[0], *(node._replace(layer=made[id(node.layer)]) for node in network.nodes[1:])))


def _stored(layer: Any) -> Any:
    """The layer with its parametrised tensors as plain ones. Its class is left as it is: other layers share it."""
    names = list(getattr(layer, "parametrizations", ()))
    values = [getattr(layer, name).detach() for name in names]
    if names:
        layer.__class__ = exact_type(layer)
        del layer.parametrizations
    for name, value in zip(names, values, strict=True):
        layer.register_parameter(name, nn.Parameter(value, requires_grad=False))
    return layer


def _probes(input_shape: tuple[int, ...], device: torch.device, batches: tuple[int, ...]) -> Iterator[Tensor]:
    """Random inputs, float64 [rows, *input_shape] for each number of rows."""
    generator = torch.Generator().manual_seed(0)
    for rows, width in itertools.product(batches, PROBES):
        noise = torch.rand(rows, *input_shape, generator=generator, dtype=torch.float64).to(device)
        yield 0.5 + width * (2 * noise - 1)
