"""The ops behind a certificate: bounds from the weights, radii from the logits, and a lower bound to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from auditor.plan.op import op
from auditor.terms import Affinity, Norm, Standard, TopK

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.methods.robustness import Bounds, Certificates

PROBED = 64
"""Rows from which a lower bound on the Lipschitz constant is sought."""

TILES = 6


class CertifiedRows(NamedTuple):
    """One entry a selected row. `rank`: how many classes score above the label, 0 where it is predicted."""

    predicted: Tensor
    label: Tensor
    rank: Tensor
    certificates: Certificates


class Narrowest(NamedTuple):
    """The rightly classified rows with the smallest radii: positions among the selected rows, and inputs."""

    positions: Tensor
    inputs: Tensor


@op(version=6, device=True)
def bound_margins(
    *, model: Any, input_shape: tuple[int, ...], norm: Norm, arithmetic: Literal["real", "float32"] = "real"
) -> Bounds:
    """Lipschitz constants of every margin, never below the truth; raises Unsupported for a network without a bound."""
    from auditor.methods.robustness import bound_model

    return bound_model(model, input_shape, norm, arithmetic=arithmetic)


@op(version=1, device=True)
def bound_rounding(*, model: Any, inputs: Tensor, rows: Tensor, bounds: Bounds, device: str) -> Tensor:
    """How far float64 and float32 logits together may lie from the exact ones at each selected row."""
    import torch

    from auditor.methods.robustness.evaluation_error import rounding_at
    from auditor.methods.robustness.graph import network

    chosen = inputs[rows]
    general = bounds.error.at(chosen.flatten(1).double().norm(dim=1))
    met = rounding_at(network(model, tuple(chosen.shape[1:])), chosen.to(device)).cpu()
    # Beyond the range in which nothing overflows, the general bound is infinite.
    return torch.where(general.isinf(), general, met)


@op(version=3)
def certify_rows(
    *,
    logits: Tensor,
    bounds: Bounds,
    inputs: Tensor,
    labels: Tensor,
    rows: Tensor,
    epsilon: float,
    guarantee: Standard | TopK | Affinity,
    rounding: Tensor | None = None,
) -> CertifiedRows:
    """Certificates of the selected rows from float64 logits, the error of computing them subtracted; under
    `arithmetic: float32` also that of float32 logits at every neighbour.
    """
    from auditor.methods.robustness import certify

    scores, label = logits[rows], labels[rows]
    lengths = inputs[rows].flatten(1).double().norm(dim=1)
    error = bounds.error.at(lengths) if rounding is None else rounding
    certificates = certify(scores, bounds.reach, epsilon, guarantee, labels=label, logits_error=error)
    order = scores.argsort(dim=1, descending=True, stable=True)
    rank = (order == label[:, None]).int().argmax(1)
    return CertifiedRows(order[:, 0], label, rank, certificates)


@op(version=3, device=True)
def observe_lipschitz(
    *, model: Any, inputs: Tensor, rows: Tensor, norm: Norm, box: tuple[float, float] | None, device: str
) -> float:
    """The steepest change of a margin met between two points near the data: the true constant is at least this."""
    from auditor.methods.robustness.lower_bounds import lipschitz_lower

    chosen = rows[:: max(1, -(-len(rows) // PROBED))]
    if not len(chosen):
        return 0.0
    return float(lipschitz_lower(model, inputs[chosen].to(device), norm=norm, box=box).max())


@op(version=1)
def find_narrowest(*, certified: CertifiedRows, inputs: Tensor, rows: Tensor) -> Narrowest:
    """The rows to show: right, yet closest to what cannot be certified."""
    radius = certified.certificates.vra_radius
    assert radius is not None
    right = (certified.rank == 0).nonzero().flatten()
    positions = right[radius[right].argsort(stable=True)][:TILES]
    return Narrowest(positions, inputs[rows[positions]])
