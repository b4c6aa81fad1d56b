"""The certificate of a run: what was proved of which weights, with all that a reader needs to prove it again.

`certificate.json` names tensors of the `weights.safetensors` beside it, which are the audited model's own, in their own
dtype and under their names in its state dict; and says how layers were folded from them, so that a reader folds again.
What the model's code made of its tensors (parametrised weights, constants) has a name that begins with `computed/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from auditor.records.base import Number, Record

if TYPE_CHECKING:
    import numpy as np

FORMAT = "auditor-certificate/2"
COMPUTED = "computed/"
INDEX = "index/"
NORMALIZE = "normalize."
NETWORK = "network."
"""Beginnings of tensors' names: made by the model's code; positions, made by the run; stated by the spec; and of the
network, which is what a model file holds.
"""


class Part(Record):
    """How a linear map comes about: an operation on `tensors`, or on what other operations give.

    dense, convolution: a kernel [out, in/groups, *taps], with `axes`, `groups` and `mode` in `options`. normalization:
    gain / √(variance + eps) a channel, of inputs of `shape`; tensors: variance, gain. scale: a factor an entry of
    `shape`, from a tensor taken as of shape `view`, or its `inverse`. identity. gathered: the factors of the scaling in
    `of`, by an index. then: the second of `of` after the first. sum: with `signs`. stack: results one after the other.
    """

    op: str
    of: tuple[Part, ...] = ()
    tensors: tuple[str, ...] = ()
    options: dict[str, Any] = {}


class LayerProof(Record):
    """One node of the network and what was proved of it: no two inputs' images lie further apart than
    `lipschitz_upper` times the inputs.

    `inputs`: positions in `NetworkProof.layers` whose values it takes, -1 for the network's input. `kind`: dense,
    convolution, transposed convolution, scale, selection, total, (adaptive) average pooling, (adaptive) max pooling,
    linear interpolation, sum, concatenation (1 for these two: the walk counts what they join), or a function's name.
    `options`: its geometry. `map`: how a dense layer, a (transposed) convolution or a scaling comes about. `weight`:
    the tensor of another layer, a selection's index or a PReLU's slopes. `assumed`: the constant in the 2-norm that the
    user vouches for, of a layer whose bound nobody proved. Shapes are without the batch.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    map: Part | None = None
    weight: str | None = None
    options: dict[str, Any] = {}
    assumed: Annotated[float, Field(ge=0)] | None = None
    lipschitz_upper: Number


class NetworkProof(Record):
    """`layers` in an order in which inputs come first, the last one giving the logits; `network` bounds their
    composition, `margins[j][i]` the Lipschitz constant of f_j − f_i, in `norm` on both sides.
    """

    norm: Literal["l2", "linf"]
    input_shape: tuple[int, ...]
    layers: tuple[LayerProof, ...]
    network: Number
    margins: tuple[tuple[Number, ...], ...]


class Claim(Record):
    """What a check concluded from a proof: of `rows` rows, `certified` keep `guarantee` within `epsilon`.

    `locally`: how many of these the proof alone would not certify. Linear bounds around each row do, which are the
    run's word here.
    """

    check: str
    norm: Literal["l2", "linf"]
    epsilon: float
    guarantee: Any
    arithmetic: str
    rows: int
    certified: int
    vra: int
    locally: int = 0


class Certificate(Record):
    """`model`: SHA-256 of the model file that the run was given; `weights`: of weights.safetensors. `sha256`: of the
    canonical JSON of everything else here.
    """

    format: Literal["auditor-certificate/2"] = FORMAT
    model: str
    weights: str
    proofs: tuple[NetworkProof, ...]
    claims: tuple[Claim, ...]
    sha256: str = ""


@dataclass(frozen=True)
class Proved:
    """What one check adds to the certificate: its proof, the tensors that the proof names, and its claim."""

    proof: NetworkProof
    tensors: dict[str, np.ndarray]
    claim: Claim
