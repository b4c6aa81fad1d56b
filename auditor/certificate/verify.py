"""Proving a certificate again: its seal, its weights, every layer's bound, and what follows from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from auditor.certificate.folding import kernel_of
from auditor.certificate.kernel import Kernel
from auditor.certificate.layers import MAPS, proved
from auditor.certificate.model_file import model_tensors
from auditor.certificate.walk import faults
from auditor.certificate.writing import seal, written
from auditor.digest import file_digest
from auditor.errors import DataError, HashMismatch, RecordError
from auditor.records.certificate import (
    COMPUTED,
    FORMAT,
    INDEX,
    NETWORK,
    NORMALIZE,
    Certificate,
    LayerProof,
    NetworkProof,
)

SENSELESS = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError, MemoryError)
"""What comes of a certificate that makes no sense; it is refuted."""


class Origins(NamedTuple):
    """Where the tensors of a certificate come from. `held`: how many the model holds under their names; `found`: how
    many of them the model file was seen to hold bit for bit, None where it was not looked into. `computed`: what the
    model's code made of its tensors, or of numbers of its own; `stated`: what the spec says, such as a normalisation.
    `unused`: matrices and kernels of the model file that no layer is made of.
    """

    held: int
    found: int | None
    computed: tuple[str, ...]
    stated: tuple[str, ...]
    unused: tuple[str, ...] = ()


class Verification(NamedTuple):
    """`layers`: how many bounds were proved again. `refuted`: what is stated and could not be proved; `unverified`:
    what no proof is known for here. The certificate stands where both are empty, on the constants of `assumed`, which
    are the user's word. `origin`: where the tensors come from.
    """

    certificate: Certificate
    layers: int
    refuted: tuple[str, ...]
    unverified: tuple[str, ...]
    assumed: tuple[str, ...]
    origin: Origins

    @property
    def stands(self) -> bool:
        return not self.refuted and not self.unverified


def verify(certificate: Path, weights: Path, model: Path | None = None) -> Verification:
    """Reads both files and proves all that the certificate states of the weights, with NumPy and rational numbers.

    `model`: the audited file, whose hash must then be the one the certificate names, and whose tensors are compared
    where they can be read without torch. Raises RecordError for a certificate that cannot be read, HashMismatch where
    it was changed or the weights or the model are others, DataError for weights that cannot be read.
    """
    stated = read(certificate)
    if model is not None and (found := file_digest(model)) != stated.model:
        raise HashMismatch(
            f"model {model} has SHA-256 {found}, the certificate speaks of {stated.model}",
            remedy="give the file that the run audited, or audit this one",
        )
    tensors = _tensors(weights, stated)
    refuted: list[str] = []
    unverified: list[str] = []
    assumed: list[str] = []
    count = 0
    for proof in stated.proofs:
        within = "" if len(stated.proofs) == 1 else f"{proof.norm}: "
        with np.errstate(all="ignore"):
            found, dense = _layers(proof, tensors)
            wrong = _walk(proof, dense)
        count += len(proof.layers) - sum(map(len, found))
        refuted += [within + text for text in (*found.refuted, *wrong)]
        unverified += [within + text for text in found.unverified]
        assumed += [within + text for text in found.assumed]
    used = {name for proof in stated.proofs for layer in proof.layers for name in _taken(layer)}
    refuted += [f"tensor {name}: no layer is made of it" for name in sorted(tensors.keys() - used)]
    origin, differing = _origins(tensors, model)
    refuted += differing
    held = {proof.norm for proof in stated.proofs}
    refuted += [
        f"{claim.check}: rests on no proof in {claim.norm}" for claim in stated.claims if claim.norm not in held
    ]
    return Verification(stated, count, tuple(refuted), tuple(unverified), tuple(assumed), origin)


def _taken(layer: LayerProof) -> Iterator[str]:
    """The tensors that a layer is made of."""
    parts = [] if layer.map is None else [layer.map]
    while parts:
        part = parts.pop()
        yield from part.tensors
        parts += part.of
    if layer.weight is not None:
        yield layer.weight


def _origins(tensors: Mapping[str, np.ndarray], model: Path | None) -> tuple[Origins, list[str]]:
    """Where the tensors come from, and which of them the model file does not hold.

    A name says where a tensor comes from, so positions must be whole numbers, and no name of the file have two tensors.
    """
    computed = tuple(name for name in sorted(tensors) if name.startswith(COMPUTED))
    faults = [
        f"tensor {name}: positions are whole numbers, not {value.dtype}"
        for name, value in sorted(tensors.items())
        if name.startswith(INDEX) and value.dtype.kind != "i"
    ]
    own = [name for name in sorted(tensors) if not name.startswith((COMPUTED, INDEX))]
    stated = tuple(name for name in own if name.startswith(NORMALIZE))
    held: dict[str, np.ndarray] = {}
    for name in own:
        inside = name.removeprefix(NETWORK)
        if inside in held:
            faults.append(f"tensor {inside}: {inside} and {NETWORK}{inside} stand for one tensor of the model file")
        elif name not in stated:
            held[inside] = tensors[name]
    known = None if model is None else model_tensors(model)
    if known is None:
        return Origins(len(held), None, computed, stated), faults
    differing = []
    for name, value in held.items():
        other = known.get(name)
        if other is None:
            differing.append(f"tensor {name}: the model file has none of that name")
        elif other.shape != value.shape or other.astype(np.float64).tobytes() != value.astype(np.float64).tobytes():
            differing.append(f"tensor {name}: the model file holds another")
    unused = tuple(sorted(name for name, value in known.items() if value.ndim > 1 and name not in held))
    return Origins(len(held), len(held) - len(differing), computed, stated, unused), [*faults, *differing]


def read(path: Path) -> Certificate:
    """The certificate at `path`. Raises RecordError where it is none, HashMismatch where its seal is broken."""
    if not path.is_file():
        raise RecordError(f"{path} does not exist", remedy="give a run that certified something, or its certificate")
    content = path.read_bytes()
    _require_format(path, content)
    try:
        stated = Certificate.model_validate_json(content)
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise RecordError(f"{path} is no certificate: {first}", remedy="give the certificate.json of a run") from None
    try:
        whole = stated.sha256 == seal(stated) and content == written(stated)
    except ValueError:
        # A number that no run writes.
        whole = False
    if not whole:
        raise HashMismatch(f"{path} was changed after the run wrote it", remedy="take the file from the run again")
    return stated


def _require_format(path: Path, content: bytes) -> None:
    """Raises RecordError for a certificate of another format, whose tensors are not the model's own."""
    try:
        found = json.loads(content).get("format")
    except (ValueError, AttributeError):
        return
    if isinstance(found, str) and found.startswith("auditor-certificate/") and found != FORMAT:
        raise RecordError(
            f"{path} has the format {found}, only {FORMAT} is proved here",
            remedy="audit the model again with this version of auditor, or verify with the version that wrote it",
        )


def _tensors(path: Path, stated: Certificate) -> dict[str, np.ndarray]:
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != stated.weights:
        raise HashMismatch(
            f"weights {path} have SHA-256 {found}, the certificate speaks of {stated.weights}",
            remedy="give the weights.safetensors that the same run wrote",
        )
    import safetensors.numpy

    try:
        return safetensors.numpy.load(content)
    except Exception as error:
        raise DataError(f"weights {path} cannot be read: {error}") from None


class _Found(NamedTuple):
    """One sentence a layer that was not proved again."""

    refuted: list[str]
    unverified: list[str]
    assumed: list[str]


def _layers(proof: NetworkProof, tensors: Mapping[str, np.ndarray]) -> tuple[_Found, dict[int, Kernel]]:
    """What was not proved, and by place the kernels of the dense layers."""
    refuted, unverified, assumed = found = _Found([], [], [])
    dense: dict[int, Kernel] = {}
    for place, layer in enumerate(proof.layers):
        subject = f"{layer.name} ({layer.kind})"
        try:
            kernel = kernel_of(layer, tensors, proof.norm) if layer.kind in MAPS else None
            if kernel is not None and layer.kind == "dense":
                dense[place] = kernel
            verdict = proved(layer, tensors, proof.norm, kernel)
        except SENSELESS as error:
            refuted.append(f"{subject}: {error}")
            continue
        if verdict is None:
            unverified.append(f"{subject}: no proof is known here for this kind of layer")
        elif not verdict:
            refuted.append(f"{subject}: {layer.lipschitz_upper:.9g} could not be proved")
        elif layer.assumed is not None:
            assumed.append(f"{subject}: its constant {layer.assumed:g} is the user's word")
    return found, dense


def _walk(proof: NetworkProof, dense: Mapping[int, Kernel]) -> list[str]:
    try:
        return faults(proof, dense)
    except SENSELESS as error:
        return [f"graph: {error}"]
