"""A network rewritten so that every node is affine or acts on each entry alone.

max(a, b) = b + relu(a − b) and min(a, b) = a − relu(a − b): so MinMax, GroupSort (a sorting network of such exchanges)
and max pooling (a knock-out among the entries of a window) become selections, sums and ReLUs. A reflection of
Householder is z + 2·relu(−z·v)·v. The values stay the same real numbers, but for v, whose sine and cosine are computed.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn

from auditor.methods.layers import GroupSort, Householder, MinMax
from auditor.methods.robustness.elementary import Concatenation, Scale, Selection, Sum
from auditor.methods.robustness.graph import Network, Node
from auditor.methods.robustness.operator_norms import exact_type
from auditor.methods.robustness.pooling import ADAPTIVE_MAXIMUM, MAXIMUM, spread


class Computed(Scale):
    """A scale whose factors are values of an elementary function: within `ELEMENTWISE` units of the true ones."""


def lowered(network: Network) -> Network:
    """The same function without MinMax, GroupSort, Householder and max pooling."""
    made = _Rewriting(network.nodes[0])
    places = {0: 0}
    for place, node in enumerate(network.nodes[1:], start=1):
        inputs = tuple(places[each] for each in node.inputs)
        kind = exact_type(node.layer)
        made.node = node
        if kind is MinMax:
            places[place] = made.sorted_groups(inputs[0], 2, node.layer.dim)
        elif kind is GroupSort:
            places[place] = made.sorted_groups(inputs[0], node.layer.size, node.layer.dim)
        elif kind is Householder:
            places[place] = made.reflected(inputs[0], node.layer)
        elif kind in MAXIMUM or kind in ADAPTIVE_MAXIMUM:
            places[place] = made.largest(inputs[0], windows(node.layer, node.input_shape, node.output_shape))
        else:
            made.nodes.append(node._replace(inputs=inputs))
            places[place] = len(made.nodes) - 1
    return Network(tuple(made.nodes))


class _Rewriting:
    """The nodes made so far, each named after the `node` of the user's network that it stands for."""

    def __init__(self, first: Node) -> None:
        self.nodes, self.node = [first], first

    def add(self, layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> int:
        before = self.nodes[inputs[0]].output_shape
        self.nodes.append(Node(self.node.name, layer, inputs, before, shape, self.node.line))
        return len(self.nodes) - 1

    def selected(self, place: int, index: Tensor) -> int:
        """The entries of the value at `place` at `index`, in its shape."""
        return self.add(Selection(index.flatten(), tuple(index.shape)), (place,), tuple(index.shape))

    def exceeding(self, first: int, second: int) -> int:
        """relu(first − second)."""
        shape = self.nodes[first].output_shape
        return self.add(nn.ReLU(), (self.add(Sum((1, -1)), (first, second), shape),), shape)

    def larger(self, first: int, second: int, excess: int) -> int:
        return self.add(Sum((1, 1)), (second, excess), self.nodes[second].output_shape)

    def smaller(self, first: int, second: int, excess: int) -> int:
        return self.add(Sum((1, -1)), (first, excess), self.nodes[first].output_shape)

    def sorted_groups(self, place: int, size: int, dim: int) -> int:
        """Odd-even transposition: `size` rounds of exchanges of neighbours sort any order, largest first."""
        shape = self.nodes[place].output_shape
        axis = dim % (len(shape) + 1) - 1
        index = _numbered(shape, self.device())
        parts = [self.selected(place, part) for part in index.chunk(size, axis)]
        for turn in range(size if size > 2 else 1):
            for one in range(turn % 2, size - 1, 2):
                first, second = parts[one], parts[one + 1]
                excess = self.exceeding(first, second)
                parts[one], parts[one + 1] = self.larger(first, second, excess), self.smaller(first, second, excess)
        return self.add(Concatenation(axis + 1), tuple(parts), shape)

    def reflected(self, place: int, layer: Householder) -> int:
        shape = self.nodes[place].output_shape
        parts = [self.selected(place, part) for part in _numbered(shape, self.device()).chunk(2, 0)]
        half = (layer.theta.detach().double() / 2).reshape(-1, *[1] * (len(shape) - 1))
        normal = (half.sin(), -half.cos())
        half_shape = (shape[0] // 2, *shape[1:])
        along = tuple(self.scaled(part, -each, half_shape) for part, each in zip(parts, normal, strict=True))
        excess = self.add(nn.ReLU(), (self.add(Sum((1, 1)), along, half_shape),), half_shape)
        moved = tuple(
            self.add(Sum((1, 1)), (part, self.scaled(excess, 2 * each, half_shape)), half_shape)
            for part, each in zip(parts, normal, strict=True)
        )
        return self.add(Concatenation(1), moved, shape)

    def scaled(self, place: int, factors: Tensor, shape: tuple[int, ...]) -> int:
        return self.add(Computed(factors, torch.zeros_like(factors)), (place,), shape)

    def largest(self, place: int, index: Tensor) -> int:
        """The largest of each window; `index` [entries of a window, *output]."""
        left = self.selected(place, index)
        while (count := self.nodes[left].output_shape[0]) > 1:
            rest = self.nodes[left].output_shape[1:]
            numbers = _numbered((count, *rest), index.device)
            pairs = count // 2
            first, second = (self.selected(left, numbers[at : at + pairs]) for at in (0, pairs))
            winners = self.larger(first, second, self.exceeding(first, second))
            if count % 2:
                odd = self.selected(left, numbers[-1:])
                winners = self.add(Concatenation(1), (winners, odd), (pairs + 1, *rest))
            left = winners
        return self.selected(left, _numbered(self.nodes[left].output_shape, index.device)[0])

    def device(self) -> torch.device:
        """That of the network's tensors."""
        layers = (node.layer for node in self.nodes if isinstance(node.layer, nn.Module))
        tensors = itertools.chain.from_iterable((*layer.parameters(), *layer.buffers()) for layer in layers)
        return next(tensors, torch.empty(0)).device


def _numbered(shape: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.arange(math.prod(shape), device=device).reshape(shape)


def windows(layer: Any, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Tensor:
    """Which entries of the input each output of a max pooling sees, row-major: [entries of a window, *output_shape].

    Windows that see fewer, at a border, see their first one again, which changes no maximum.
    """
    channels, sizes = input_shape[0], input_shape[1:]
    axes = [_positions(layer, sizes, place, output_shape[1 + place]) for place in range(len(sizes))]
    number = torch.zeros((1,) * 2 * len(sizes), dtype=torch.int64)
    for place, (positions, size) in enumerate(zip(axes, sizes, strict=True)):
        shape = [1] * 2 * len(sizes)
        shape[place], shape[len(sizes) + place] = positions.shape[0], positions.shape[1]
        number = number * size + positions.reshape(shape)
    pixels = number.reshape(-1, *output_shape[1:])
    start = torch.arange(channels).reshape(channels, *[1] * len(sizes)) * math.prod(sizes)
    return pixels[:, None] + start


def _positions(layer: Any, sizes: tuple[int, ...], place: int, count: int) -> Tensor:
    """Along one axis, where each of `count` windows looks [taps, count]."""
    size, axes = sizes[place], len(sizes)
    window = torch.arange(count)
    if isinstance(layer, ADAPTIVE_MAXIMUM):
        first, last, step = window * size // count, -((window + 1) * -size // count) - 1, 1
    else:
        kernel, stride, padding, step = (
            spread(value, axes)[place] for value in (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        )
        first = window * stride - padding
        last = first + (kernel - 1) * step
    taps = torch.arange(0, int((last - first).max()) + 1, step)
    positions = first + taps[:, None]
    inside = (positions >= 0) & (positions < size) & (positions <= last)
    earliest = positions.gather(0, inside.int().argmax(0, keepdim=True))
    return torch.where(inside, positions, earliest)
