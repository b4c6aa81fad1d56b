"""A run's certificate as two files: certificate.json and the weights.safetensors it speaks of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from auditor.digest import digest
from auditor.records.certificate import Certificate, Proved

CERTIFICATE = "certificate.json"
WEIGHTS = "weights.safetensors"


def certificate_files(proved: Iterable[Proved], *, model: str) -> dict[str, bytes]:
    """Names and contents of both files; empty where nothing was certified. Equal proofs are written once.

    `model` is the SHA-256 of the file that the proved network was loaded from.
    """
    proved = list(proved)
    if not proved:
        return {}
    import safetensors.numpy

    tensors = {name: tensor for one in proved for name, tensor in sorted(one.tensors.items())}
    weights = safetensors.numpy.save(tensors)
    open_ = Certificate(
        model=model,
        weights=hashlib.sha256(weights).hexdigest(),
        proofs=tuple({digest(one.proof): one.proof for one in proved}.values()),
        claims=tuple(one.claim for one in proved),
    )
    return {CERTIFICATE: written(open_.model_copy(update={"sha256": seal(open_)})), WEIGHTS: weights}


def written(certificate: Certificate) -> bytes:
    """The certificate as its file holds it, byte for byte."""
    text = json.dumps(certificate.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def seal(certificate: Certificate) -> str:
    """SHA-256 of the canonical JSON of all but the seal itself."""
    return digest(certificate.model_dump(mode="json", exclude={"sha256"}))
