"""The ops behind a certificate: bounds from the weights, radii from the logits, and a lower bound to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from auditor.plan.op import op
from auditor.spec.builder import Builder, Ref
from auditor.terms import Affinity, Norm, Standard, TopK

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.methods.robustness import Bounds, Certificates
    from auditor.methods.robustness.met_pass import MetLogits

Arithmetic = Literal["real", "float32"]

PROBED = 16
"""Rows from which a lower bound on the Lipschitz constant is sought."""

TILES = 6

NETWORK = "network."
"""What the names of the spec's network begin with in the audited model."""


class LinearProofs(NamedTuple):
    """What linear bounds show of some selected rows, in order.

    `held` [rows, sizes]: whether they prove that F^k stays the same within ε; False where the constant had proved it,
    which was not tried. `tried` [rows]: whether anything of the row was undecided. `exhausted` [rows]: whether its time
    ran out with a set open that no attack has changed.
    """

    held: Tensor
    tried: Tensor
    exhausted: Tensor


class CertifiedRows(NamedTuple):
    """One entry a selected row. `rank`: how many classes score above the label, 0 where it is predicted. `linear`: the
    share of linear bounds in the certificates, where they were asked for.
    """

    predicted: Tensor
    label: Tensor
    rank: Tensor
    certificates: Certificates
    linear: LinearProofs | None = None


class Narrowest(NamedTuple):
    """The rightly classified rows with the smallest radii: positions among the selected rows, and inputs."""

    positions: Tensor
    inputs: Tensor


class Refusal(NamedTuple):
    """Why a network has no bound: what an Unsupported would say. An attack goes on without one, a certificate not."""

    what: str
    remedy: str | None
    node: str | None


def plan_bounds(build: Builder, *, norm: Norm, arithmetic: Arithmetic = "real") -> Ref[Bounds | Refusal]:
    """The bounds of the model: one task for all checks that prove or attack in `norm`."""
    return build.add(
        bound_network,
        model=build.model(),
        input_shape=build.input_shape,
        norm=norm,
        arithmetic=arithmetic,
        assumed=build.assumed,
    )


@op(version=8, device=True)
def bound_network(
    *, model: Any, input_shape: tuple[int, ...], norm: Norm, arithmetic: Arithmetic, assumed: dict[str, float]
) -> Bounds | Refusal:
    """Lipschitz constants of every margin, never below the truth, or why there are none.

    `assumed`: constants that the user vouches for, by the names of the network's modules.
    """
    from auditor.errors import NotAvailable, Unsupported
    from auditor.methods.robustness import bound_model

    stated = {f"{NETWORK}{name}": constant for name, constant in assumed.items()}
    try:
        return bound_model(model, input_shape, norm, arithmetic=arithmetic, assumed=stated)
    except (NotAvailable, Unsupported) as error:
        node = getattr(error, "node", None)
        return Refusal(error.what, _remedy(error.remedy, node, model, arithmetic), node)


def _remedy(remedy: str | None, node: str | None, model: Any, arithmetic: Arithmetic) -> str | None:
    """The remedy, and where the spec has room for the constant of what has no bound."""
    if node in (None, "model", type(model).__name__) or arithmetic != "real":
        return remedy
    whole = node.startswith(NETWORK) and node in dict(model.named_modules())
    key = f"model.assumed.{node.removeprefix(NETWORK)}, or a module around it" if whole else "model.assumed"
    smoothing = "" if "smoothing" in (remedy or "") else ", or name `method: smoothing` in the check"
    return f"{remedy or 'use another layer'}{smoothing}; if you vouch for its constant, state it: {key}"


@op(version=2)
def bound_margins(*, bounds: Bounds | Refusal) -> Bounds:
    """The bounds themselves. Raises Unsupported for a network without."""
    from auditor.errors import Unsupported

    if isinstance(bounds, Refusal):
        raise Unsupported(bounds.what, node=bounds.node, remedy=bounds.remedy)
    return bounds


@op(version=3, device=True)
def evaluate_float32(*, model: Any, inputs: Tensor, rows: Tensor, bounds: Bounds, device: str) -> MetLogits:
    """The float32 logits of the selected rows, and how far float32 may have led them from the exact ones."""
    from auditor.methods.robustness.graph import network
    from auditor.methods.robustness.met_pass import MetPass, met_logits

    chosen = inputs[rows]
    graph = network(model, tuple(chosen.shape[1:]), bounds.assumed)
    return met_logits(MetPass(graph, bounds), chosen, device=device)


@op(version=1, device=True)
def bound_error(*, model: Any, inputs: Tensor, logits: Tensor, rows: Tensor, bounds: Bounds, device: str) -> Tensor:
    """How far the float64 logits of the selected rows may lie from the exact ones, float64 [rows]."""
    from auditor.methods.robustness.graph import network
    from auditor.methods.robustness.met_pass import MetPass, sharpened_error

    chosen = inputs[rows]

    def ready() -> MetPass:
        return MetPass(network(model, tuple(chosen.shape[1:]), bounds.assumed), bounds)

    return sharpened_error(bounds, chosen, logits[rows], ready, device=device)


@op(version=6)
def certify_rows(
    *,
    logits: Tensor | None,
    error: Tensor | None,
    single: MetLogits | None,
    bounds: Bounds,
    labels: Tensor,
    rows: Tensor,
    epsilon: float,
    guarantee: Standard | TopK | Affinity,
) -> CertifiedRows:
    """Certificates of the selected rows from float64 logits, their `error` subtracted; under `arithmetic: float32` from
    float32 ones, `single`, less their error and that of float32 logits at every neighbour.
    """
    from auditor.methods.robustness import certify

    label = labels[rows]
    if single is not None:
        scores, error = single.logits.double(), single.error
    else:
        assert logits is not None
        scores = logits[rows]
    certificates = certify(
        scores, bounds.reach, epsilon, guarantee, labels=label, logits_error=error, within=bounds.error.within
    )
    order = scores.argsort(dim=1, descending=True, stable=True)
    rank = (order == label[:, None]).int().argmax(1)
    return CertifiedRows(order[:, 0], label, rank, certificates)


@op(version=5, device=True)
def observe_lipschitz(
    *,
    model: Any,
    bounds: Bounds,
    inputs: Tensor,
    rows: Tensor,
    norm: Norm,
    box: tuple[float, float] | None,
    device: str,
) -> float:
    """The steepest change of a margin met between two points near the data, less the error of evaluating it: the true
    constant is at least this.
    """
    from auditor.methods.robustness.lower_bounds import steepest_pairs

    chosen = rows[:: max(1, -(-len(rows) // PROBED))]
    if not len(chosen):
        return 0.0
    pairs = steepest_pairs(model, inputs[chosen].to(device), norm=norm, box=box, error=bounds.error.at)
    return float(pairs.slope.max())


@op(version=2)
def find_narrowest(*, certified: CertifiedRows, inputs: Tensor, rows: Tensor) -> Narrowest:
    """The rows to show: right, yet closest to what cannot be certified. Those that linear bounds prove are left out:
    how close they are is not known.
    """
    radius = certified.certificates.vra_radius
    assert radius is not None
    right = certified.rank == 0
    if certified.linear is not None:
        right &= ~certified.linear.held.any(1)
    right = right.nonzero().flatten()
    positions = right[radius[right].argsort(stable=True)][:TILES]
    return Narrowest(positions, inputs[rows[positions]])
