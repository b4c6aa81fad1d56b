"""From the layers' bounds to the constants of the margins: products, sums and row distances, none rounded down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from auditor.certificate.kernel import Kernel
from auditor.certificate.layers import TOLERANCE
from auditor.certificate.norms import UNIT, gamma
from auditor.records.certificate import NetworkProof

HEADROOM = 5e-10
"""Constants are proved up to this, relatively. Certificates were issued with 1e-9 to spare (`certify`)."""

SCALE = 1 << 200


def reaches(proof: NetworkProof) -> list[Fraction]:
    """Lipschitz constants from the network's input to each layer's output, from the layers' stated bounds. Exact, but
    for roots, which are rounded up.
    """
    found: list[Fraction] = []
    for place, layer in enumerate(proof.layers):
        if not layer.inputs or any(not -1 <= each < place for each in layer.inputs):
            raise ValueError(f"{layer.name} takes the value of a later layer, or of none")
        before = [Fraction(1) if each < 0 else found[each] for each in layer.inputs]
        if len(before) > 1 and layer.kind not in ("sum", "concatenation"):
            raise ValueError(f"{layer.name}: a {layer.kind} of several values")
        if any(size < 1 for size in (*layer.input_shape, *layer.output_shape)):
            raise ValueError(f"{layer.name} takes {layer.input_shape} and gives {layer.output_shape}")
        if layer.kind != "concatenation":
            _fits(proof, place)
        if layer.kind != "concatenation":
            total = sum(before)
        else:
            total = max(before) if proof.norm == "linf" else _root_up(sum(each * each for each in before))
        found.append(total * Fraction(layer.lipschitz_upper) * (1 + Fraction(TOLERANCE)))
    return found


def _fits(proof: NetworkProof, place: int) -> None:
    """Raises ValueError where a layer does not take what the layers before it give."""
    layer = proof.layers[place]
    for source in layer.inputs:
        given = proof.input_shape if source < 0 else proof.layers[source].output_shape
        if given != layer.input_shape:
            raise ValueError(f"{layer.name} takes {layer.input_shape}, {given} is given")


def _root_up(value: Fraction | int) -> Fraction:
    value = Fraction(value)
    scaled = -(-value.numerator * SCALE * SCALE // value.denominator)
    root = math.isqrt(scaled)
    return Fraction(root if root * root == scaled else root + 1, SCALE)


def faults(proof: NetworkProof, dense: Mapping[int, Kernel]) -> list[str]:
    """What of the network's and the margins' constants does not follow from the layers' bounds and the kernels of the
    `dense` ones; empty if all does.
    """
    (classes,) = proof.layers[-1].output_shape
    if _margins(proof).shape != (classes, classes):
        return [f"margins: {_margins(proof).shape} are stated for {classes} logits"]
    if any(math.isinf(layer.lipschitz_upper) for layer in proof.layers):
        apart = _margins(proof)[~np.eye(classes, dtype=bool)]
        return [] if proof.network == math.inf and (apart == math.inf).all() else ["margins: a layer has no bound"]
    path = reaches(proof)
    found = []
    if path[-1] > Fraction(proof.network) * (1 + Fraction(HEADROOM)):
        found.append(f"network: {float(path[-1]):.9g} follows from the layers, {proof.network:.9g} is stated")
    stated, implied = _margins(proof), _implied(proof, dense, path, classes)
    short = np.argwhere(~(implied <= stated * (1 + HEADROOM)))
    for j, i in short[:3].tolist():
        found.append(f"margins[{j}][{i}]: {implied[j, i]:.9g} follows from the layers, {stated[j, i]:.9g} is stated")
    return found


def _margins(proof: NetworkProof) -> np.ndarray:
    return np.array(proof.margins, dtype=np.float64)


def _implied(proof: NetworkProof, dense: Mapping[int, Kernel], path: list[Fraction], classes: int) -> np.ndarray:
    implied = _margins_at(proof, dense, path, len(proof.layers) - 1, classes, {})
    np.fill_diagonal(implied, 0.0)
    return implied


def _margins_at(
    proof: NetworkProof,
    dense: Mapping[int, Kernel],
    path: list[Fraction],
    place: int,
    classes: int,
    known: dict[int, np.ndarray],
) -> np.ndarray:
    """Bounds on the Lipschitz constants of v_j − v_i [classes, classes] for the value v at `place`, the input at -1.

    ‖w_j − w_i‖ of a dense layer, in the dual norm, times what lies below it; the sum over the terms of a sum; and
    always ‖e_j − e_i‖ times the constant of v. `known`: those found already, since sums of sums meet again.
    """
    if place in known:
        return known[place]
    apart = _root_up(2) if proof.norm == "l2" else Fraction(2)
    general = np.full((classes, classes), _up(apart * (Fraction(1) if place < 0 else path[place])))
    if place < 0:
        return general
    layer = proof.layers[place]
    if layer.kind == "sum":
        terms = [_margins_at(proof, dense, path, each, classes, known) for each in layer.inputs]
        known[place] = np.minimum(general, sum(terms) * (1 + 4 * len(terms) * UNIT))
        return known[place]
    prepended = layer.kind == "PrependZero"
    at = layer.inputs[0] if prepended else place
    if at not in dense or len(proof.layers[at].output_shape) != 1:
        return general
    source, kernel = proof.layers[at].inputs[0], dense[at]
    below, rows = 1.0 if source < 0 else _up(path[source]), kernel.weight
    if prepended:
        rows = np.concatenate((np.zeros_like(rows[:1]), rows))
    distances = _distances_upper(rows, kernel.error, proof.norm) + 2 * kernel.slack
    return np.minimum(general, below * distances * (1 + 4 * UNIT))


def _up(value: Fraction) -> float:
    return float(value) * (1 + 2 * UNIT)


def _distances_upper(rows: np.ndarray, entry_error: float, norm: str) -> np.ndarray:
    """Never below ‖w_j − w_i‖, the 2-norm for l2 and the 1-norm for linf, of rows whose entries are right up to a
    relative `entry_error`.
    """
    largest = float(np.abs(rows).max(initial=0.0))
    exponent = math.frexp(largest)[1] if largest else 0
    rows = np.ldexp(rows, -exponent)
    inflate = 1 + gamma(rows.shape[1] + 8)
    length = _euclidean if norm == "l2" else _manhattan
    lengths = length(rows) * inflate
    distances = np.stack([length(rows - row) for row in rows]) * inflate
    if entry_error:
        distances = distances + entry_error * (1 + 1e-9) * (lengths[:, None] + lengths[None, :])
        np.fill_diagonal(distances, 0.0)
    return np.ldexp(distances, exponent)


def _euclidean(rows: np.ndarray) -> np.ndarray:
    return np.sqrt((rows * rows).sum(1))


def _manhattan(rows: np.ndarray) -> np.ndarray:
    return np.abs(rows).sum(1)
