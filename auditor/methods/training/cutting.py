"""A network cut into the parts whose norms make its Lipschitz constant, each with the live weights of the model.

The cut is the certifier's (`auditor.methods.robustness.folding`): scalings are taken together with the dense or
convolutional layer beside them, and linear branches of one value that are summed or concatenated are one map. So the
estimate in training approaches the bound that will be proved, and not another.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from auditor.errors import Unsupported
from auditor.methods.robustness.elementary import Concatenation, PrependZero, Scale, Sum, selection_upper
from auditor.methods.robustness.folding import as_piece
from auditor.methods.robustness.graph import Node, network
from auditor.methods.robustness.layer_kinds import NORMALIZATIONS, TRANSPOSED, exact_type
from auditor.methods.robustness.tracing import trace
from auditor.methods.training.linear_parts import WEIGHTED, Branch, Moved, Part, Stacked, scale_of
from auditor.terms import Norm

ADDING = (operator.add, operator.iadd, operator.sub, operator.isub, torch.add, torch.sub, "add", "sub", "add_", "sub_")


def linear_parts(model: nn.Module, input_shape: tuple[int, ...], norm: Norm = "l2") -> tuple[Part, ...]:
    """The parts of `model`, in an order in which inputs come first; the last one gives the logits. Their fixed factors
    are in `norm`.

    Raises Unsupported, naming the node, for what the certifier has no bound for, and for a weight that is used outside
    of a layer, where training would change the constant unseen.
    """
    still = copy.deepcopy(model).eval()
    _refuse_loose_weights(still)
    found = network(still, input_shape)
    modules = dict(model.named_modules(remove_duplicate=False))
    modules["model"] = modules.get("model", model)
    cutting = _Cutting(input_shape, norm)
    places = [-1]
    for node in found.nodes[1:]:
        live = modules.get(node.name)
        if live is None or exact_type(live) is not exact_type(node.layer):
            live = node.layer
        places.append(cutting.add(node, live, tuple(places[each] for each in node.inputs)))
    return _needed(cutting.parts, places[-1])


def _refuse_loose_weights(model: nn.Module) -> None:
    """Raises Unsupported for a trainable weight with which the forward pass, outside of layers, does more than add."""
    trainable = {name for name, each in model.named_parameters() if each.requires_grad}
    for node in trace(model).nodes:
        if node.op == "get_attr" and node.target in trainable and any(user.target not in ADDING for user in node.users):
            raise Unsupported(
                f"`{node.target}` is used outside of a layer, where training does not see its share in the constant",
                node=str(node.target),
                remedy="keep it in nn.Linear, nn.Conv2d or another layer, or freeze it",
            )


def _needed(parts: list[Part], result: int) -> tuple[Part, ...]:
    wanted = {result} - {-1}
    for place in range(result, -1, -1):
        if place in wanted:
            wanted.update(each for each in parts[place].inputs if each >= 0)
    places = {-1: -1} | {old: new for new, old in enumerate(sorted(wanted))}
    return tuple(
        replace(parts[old], inputs=tuple(places[each] for each in parts[old].inputs)) for old in sorted(wanted)
    )


class _Cutting:
    """Parts so far, one for each node but those that change no distance."""

    def __init__(self, input_shape: tuple[int, ...], norm: Norm) -> None:
        self.input_shape = input_shape
        self.norm: Norm = norm
        self.parts: list[Part] = []

    def add(self, node: Node, live: Any, inputs: tuple[int, ...]) -> int:
        """The place of the part that gives `node`'s value."""
        piece = as_piece(node, inputs)
        kind = exact_type(live)
        part = Part(node.name, inputs, node.input_shape, node.output_shape)
        scaling = kind in NORMALIZATIONS or isinstance(live, Scale)
        if isinstance(live, Sum):
            return self._sum(part, live.signs)
        if isinstance(live, Concatenation):
            return self._concatenation(part, live)
        if isinstance(live, PrependZero):
            return self._append(replace(part, join=live))
        if piece.transparent and kind not in NORMALIZATIONS:
            return inputs[0]
        if kind in WEIGHTED or scaling:
            return self._linear(replace(part, branches=(Branch(1, (live,)),)), scaling)
        if piece.index is not None:
            return self._rearranged(part, piece.index)
        if kind is nn.PReLU:
            return self._append(replace(part, slope=live))
        return self._append(replace(part, factor=piece.lipschitz_upper(self.norm)))

    def _rearranged(self, part: Part, index: Tensor) -> int:
        before = self.parts[part.inputs[0]] if part.inputs[0] >= 0 else None
        moved = replace(part, index=index, factor=selection_upper(index, self.norm))
        if before is None:
            return self._append(moved)
        if before.index is not None:
            through = torch.where(index < 0, -1, before.index[index.clamp_min(0)])
            return self._append(
                replace(moved, inputs=before.inputs, input_shape=before.input_shape, index=through,
                        factor=selection_upper(through, self.norm))
            )  # fmt: skip
        if before.branches and before.weighted is None:
            # Entries move alike before and after they are scaled; what is filled in takes any factor.
            place = self._append(replace(moved, inputs=before.inputs))
            branches = tuple(
                Branch(sign, tuple(_moved(layer, part.input_shape, index) for layer in layers))
                for sign, layers in before.branches
            )
            shape = part.output_shape
            return self._append(replace(part, inputs=(place,), input_shape=shape, branches=branches))
        return self._append(moved)

    def _concatenation(self, part: Part, join: Concatenation) -> int:
        """Rearrangements of one value, joined, are a rearrangement of it."""
        first = part.inputs[0]
        for source in (first, *(self.parts[first].inputs if first >= 0 else ())):
            found = [self._index(place, source) for place in part.inputs]
            indices = [each for each in found if each is not None]
            if len(indices) == len(found):
                index = torch.cat(indices, join.dim - 1).flatten()
                return self._append(
                    replace(part, inputs=(source,), index=index, factor=selection_upper(index, self.norm))
                )
        return self._joined(part, join)

    def _joined(self, part: Part, join: Concatenation) -> int:
        """Neighbours in a concatenation that are linear in one value are one map; a concatenation of what is left."""
        joined: list[tuple[int, list[list[Part]]]] = []
        for place in part.inputs:
            run = [self._as_maps(part, place)]
            both = [*joined[-1][1], *run] if joined else run
            made = _stacked(part, both, join.dim) if len(both) > 1 else None
            if made is None:
                joined.append((place, run))
            else:
                joined[-1] = (self._append(made), both)
        if len(joined) == 1:
            return joined[0][0]
        return self._append(replace(part, join=join, inputs=tuple(place for place, _ in joined)))

    def _index(self, place: int, source: int) -> Tensor | None:
        """Which entries of the value at `source` those at `place` are, of its shape; None where it is computed."""
        part = self.parts[place] if place >= 0 else None
        if place == source:
            shape = self.input_shape if part is None else part.output_shape
            return torch.arange(torch.Size(shape).numel()).reshape(shape)
        if part is None or part.index is None or part.inputs != (source,):
            return None
        return part.index.cpu().reshape(part.output_shape)

    def _append(self, part: Part) -> int:
        self.parts.append(part)
        return len(self.parts) - 1

    def _linear(self, part: Part, scaling: bool) -> int:
        """Appends a linear map, taken together with the one before it where one scales what the other weighs."""
        before = self.parts[part.inputs[0]] if part.inputs[0] >= 0 else None
        if before is None or not before.branches or not (scaling or before.weighted is None):
            return self._append(part)
        (only,) = part.branches[0].layers
        if scaling and before.weighted is None:
            return self._append(_followed(before, part, only))
        weighted = before.weighted if scaling else only
        scalings = [only] if scaling else [layer for _, layers in before.branches for layer in layers]
        shape = part.input_shape if scaling else before.input_shape
        whole = exact_type(weighted) not in TRANSPOSED and all(
            _per_channel(layer, shape, exact_type(weighted) is nn.Linear) for layer in scalings
        )
        return self._append(_followed(before, part, only) if whole else part)

    def _sum(self, part: Part, signs: Sequence[int]) -> int:
        """One map of the terms that are linear in one value; a sum of what is left, if that is more than one."""
        terms: list[tuple[int, int]] = []
        for sign, place in zip(signs, part.inputs, strict=True):
            for number, other in enumerate(terms):
                merged = self._merged(part, other, (sign, place))
                if merged is not None:
                    terms[number] = (1, self._append(merged))
                    break
            else:
                terms.append((sign, place))
        if len(terms) == 1 and terms[0][0] == 1:
            return terms[0][1]
        layer = Sum(tuple(sign for sign, _ in terms))
        return self._append(replace(part, join=layer, inputs=tuple(place for _, place in terms)))

    def _merged(self, total: Part, first: tuple[int, int], second: tuple[int, int]) -> Part | None:
        for one in self._as_maps(total, first[1]):
            for other in self._as_maps(total, second[1]):
                if one.inputs == other.inputs and _alike(one, other):
                    signed = [
                        Branch(sign * branch.sign, branch.layers)
                        for (sign, _), part in ((first, one), (second, other))
                        for branch in part.branches
                    ]
                    return replace(one, name=total.name, output_shape=total.output_shape, branches=tuple(signed))
        return None

    def _as_maps(self, total: Part, place: int) -> list[Part]:
        """What the value at `place` is as a linear map: of itself, and of the value it is computed from."""
        shape = self.parts[place].output_shape if place >= 0 else self.input_shape
        found = [Part(total.name, (place,), shape, shape, (Branch(1, ()),))]
        if place >= 0 and self.parts[place].branches:
            found.append(self.parts[place])
        return found


def _followed(before: Part, part: Part, layer: Any) -> Part:
    """`before` and then `layer`, which gives the value of `part`."""
    branches = tuple(Branch(sign, (*layers, layer)) for sign, layers in before.branches)
    return replace(before, name=part.name, output_shape=part.output_shape, branches=branches)


def _stacked(total: Part, run: list[list[Part]], dim: int) -> Part | None:
    """Neighbours in a concatenation as one map, from what each may be as a map; None where their kinds differ."""
    for source in dict.fromkeys(form.inputs for form in run[0]):
        maps = [form for forms in run for form in forms if form.inputs == source]
        if len(maps) < len(run) or not _stackable(maps, dim):
            continue
        size = sum(each.output_shape[dim - 1] for each in maps)
        shape = (*total.output_shape[: dim - 1], size, *total.output_shape[dim:])
        stack = Branch(1, (Stacked(tuple(maps), dim),))
        return Part(total.name, source, maps[0].input_shape, shape, (stack,))
    return None


def _stackable(maps: Sequence[Part], dim: int) -> bool:
    kernels = [kernel for each in maps for kernel in each.kernels]
    if not kernels or any(exact_type(kernel) in TRANSPOSED for kernel in kernels):
        return False
    flat = {exact_type(kernel) is nn.Linear for kernel in kernels}
    if len(flat) > 1 or (True in flat and dim != len(maps[0].output_shape)) or (False in flat and dim != 1):
        return False
    return True in flat or _one_geometry(kernels, maps[0].input_shape, all(each.kernels for each in maps))


def _moved(layer: Any, shape: tuple[int, ...], index: Tensor) -> Moved:
    """`layer`, which scales values of `shape`, applied after their entries moved."""
    return Moved(layer, shape, index.clamp_min(0))


def _per_channel(layer: Any, shape: tuple[int, ...], dense: bool) -> bool:
    """Whether a scaling treats each channel (each feature of a dense layer) as a whole."""
    if dense:
        return len(shape) == 1
    flat = scale_of(layer, shape).expand(shape).reshape(shape[0], -1)
    return bool((flat == flat[:, :1]).all())


def _alike(first: Part, second: Part) -> bool:
    """Whether two maps of one value are kernels of the same kind, which the certifier adds up."""
    if (first.input_shape, first.output_shape) != (second.input_shape, second.output_shape):
        return False
    kernels = [kernel for part in (first, second) for kernel in part.kernels]
    kinds = {exact_type(kernel) for kernel in kernels}
    if any(kind in TRANSPOSED for kind in kinds) or (nn.Linear in kinds and len(kinds) > 1):
        return False
    if not kernels or nn.Linear in kinds:
        return True
    return _one_geometry(kernels, first.input_shape, first.weighted is not None and second.weighted is not None)


def _one_geometry(kernels: Sequence[Any], shape: tuple[int, ...], weighted: bool) -> bool:
    """Whether convolutions, beside a scaling unless all maps are `weighted`, step and pad alike, as one kernel does."""
    modes = {kernel.padding_mode for kernel in kernels if any(_padded(kernel))}
    strides = {tuple(kernel.stride) for kernel in kernels}
    if not weighted:
        strides.add((1,) * len(kernels[0].stride))
    rings = all(size % stride == 0 for kernel in kernels for size, stride in zip(shape[1:], kernel.stride, strict=True))
    return len(strides) == 1 and (modes <= {"zeros"} or (modes == {"circular"} and rings))


def _padded(layer: Any) -> tuple[bool, ...]:
    if isinstance(layer.padding, str):
        return tuple(layer.padding == "same" and taps > 1 for taps in layer.kernel_size)
    return tuple(padding > 0 for padding in layer.padding)
