"""From the layers' bounds to the constants of the margins: products, sums and row distances, none rounded down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

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
        if layer.kind != "concatenation":
            _fits(proof, place)
        total = _root_up(sum(each * each for each in before)) if layer.kind == "concatenation" else sum(before)
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


def faults(proof: NetworkProof, tensors: Mapping[str, np.ndarray]) -> list[str]:
    """What of the network's and the margins' constants does not follow from the layers' bounds; empty if all does."""
    if any(math.isinf(layer.lipschitz_upper) for layer in proof.layers):
        return [] if not np.isfinite(_margins(proof)[~np.eye(len(proof.margins), dtype=bool)]).any() else ["margins"]
    path = reaches(proof)
    found = []
    if path[-1] > Fraction(proof.network) * (1 + Fraction(HEADROOM)):
        found.append(f"network: {float(path[-1]):.9g} follows from the layers, {proof.network:.9g} is stated")
    stated, implied = _margins(proof), _implied(proof, tensors, path)
    if stated.shape != implied.shape:
        return [*found, f"margins: {stated.shape} are stated for {implied.shape[0]} logits"]
    short = np.argwhere(~(implied <= stated * (1 + HEADROOM)))
    for j, i in short[:3].tolist():
        found.append(f"margins[{j}][{i}]: {implied[j, i]:.9g} follows from the layers, {stated[j, i]:.9g} is stated")
    return found


def _margins(proof: NetworkProof) -> np.ndarray:
    return np.array(proof.margins, dtype=np.float64)


def _implied(proof: NetworkProof, tensors: Mapping[str, np.ndarray], path: list[Fraction]) -> np.ndarray:
    """The smaller of two bounds [classes, classes]: ‖e_j − e_i‖ times the network's, and ‖w_j − w_i‖ of the last dense
    layer times what lies below it.
    """
    (classes,) = proof.layers[-1].output_shape
    general = np.full((classes, classes), float(_root_up(2) * path[-1]) * (1 + 2 * UNIT))
    np.fill_diagonal(general, 0.0)
    place = len(proof.layers) - 1
    prepended = proof.layers[place].kind == "PrependZero"
    if prepended:
        (place,) = proof.layers[place].inputs
    head = proof.layers[place] if place >= 0 else None
    if head is None or head.kind != "dense" or len(head.output_shape) != 1 or head.weight is None:
        return general
    (source,) = head.inputs
    below = 1.0 if source < 0 else float(path[source]) * (1 + 2 * UNIT)
    rows = tensors[head.weight]
    if prepended:
        rows = np.concatenate((np.zeros_like(rows[:1]), rows))
    return np.minimum(general, below * _distances_upper(rows, head.entry_error) * (1 + 2 * UNIT))


def _distances_upper(rows: np.ndarray, entry_error: float) -> np.ndarray:
    """Never below ‖w_j − w_i‖₂ of rows whose entries are right up to a relative `entry_error`."""
    largest = float(np.abs(rows).max(initial=0.0))
    exponent = math.frexp(largest)[1] if largest else 0
    rows = np.ldexp(rows, -exponent)
    inflate = 1 + gamma(rows.shape[1] + 8)
    lengths = np.sqrt((rows * rows).sum(1)) * inflate
    distances = np.stack([np.sqrt(((rows - row) ** 2).sum(1)) for row in rows]) * inflate
    if entry_error:
        distances = distances + entry_error * (1 + 1e-9) * (lengths[:, None] + lengths[None, :])
        np.fill_diagonal(distances, 0.0)
    return np.ldexp(distances, exponent)
