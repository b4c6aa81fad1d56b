"""Proving a certificate again: its seal, its weights, every layer's bound, and what follows from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from auditor.certificate.layers import proved
from auditor.certificate.walk import faults
from auditor.certificate.writing import seal, written
from auditor.digest import file_digest
from auditor.errors import DataError, HashMismatch, RecordError
from auditor.records.certificate import Certificate, NetworkProof


class Verification(NamedTuple):
    """`layers`: how many bounds were proved again. `refuted`: what is stated and could not be proved; `unverified`:
    what no proof is known for here. The certificate stands where both are empty, on the constants of `assumed`, which
    are the user's word.
    """

    certificate: Certificate
    layers: int
    refuted: tuple[str, ...]
    unverified: tuple[str, ...]
    assumed: tuple[str, ...] = ()

    @property
    def stands(self) -> bool:
        return not self.refuted and not self.unverified


def verify(certificate: Path, weights: Path, model: Path | None = None) -> Verification:
    """Reads both files and proves all that the certificate states of the weights, with NumPy and rational numbers.

    `model`: the audited file, whose hash must then be the one the certificate names. Raises RecordError for a
    certificate that cannot be read, HashMismatch where it was changed or the weights or the model are others, DataError
    for weights that cannot be read.
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
        found = _layers(proof, tensors)
        count += len(proof.layers) - sum(map(len, found))
        refuted += [within + text for text in (*found.refuted, *_walk(proof, tensors))]
        unverified += [within + text for text in found.unverified]
        assumed += [within + text for text in found.assumed]
    held = {proof.norm for proof in stated.proofs}
    refuted += [
        f"{claim.check}: rests on no proof in {claim.norm}" for claim in stated.claims if claim.norm not in held
    ]
    return Verification(stated, count, tuple(refuted), tuple(unverified), tuple(assumed))


def read(path: Path) -> Certificate:
    """The certificate at `path`. Raises RecordError where it is none, HashMismatch where its seal is broken."""
    if not path.is_file():
        raise RecordError(f"{path} does not exist", remedy="give a run that certified something, or its certificate")
    content = path.read_bytes()
    try:
        stated = Certificate.model_validate_json(content)
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise RecordError(f"{path} is no certificate: {first}", remedy="give the certificate.json of a run") from None
    if stated.sha256 != seal(stated) or content != written(stated):
        raise HashMismatch(f"{path} was changed after the run wrote it", remedy="take the file from the run again")
    return stated


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


def _layers(proof: NetworkProof, tensors: Mapping[str, np.ndarray]) -> _Found:
    refuted, unverified, assumed = found = _Found([], [], [])
    for layer in proof.layers:
        subject = f"{layer.name} ({layer.kind})"
        try:
            verdict = proved(layer, tensors, proof.norm)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            refuted.append(f"{subject}: {error}")
            continue
        if verdict is None:
            unverified.append(f"{subject}: no proof is known here for this kind of layer")
        elif not verdict:
            refuted.append(f"{subject}: {layer.lipschitz_upper:.9g} could not be proved")
        elif layer.assumed is not None:
            assumed.append(f"{subject}: its constant {layer.assumed:g} is the user's word")
    return found


def _walk(proof: NetworkProof, tensors: Mapping[str, np.ndarray]) -> list[str]:
    try:
        return faults(proof, tensors)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        return [f"graph: {error}"]
