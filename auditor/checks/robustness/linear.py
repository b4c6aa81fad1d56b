"""The ops of `method: crown`: what the network's constant leaves undecided, proved row by row with linear bounds.

The work goes by chunks of rows, which resume and spread. Both bounds are theorems, so a set of classes keeps within ε
if either says so. What an attack has changed need not be tried: it cannot be proved. One such set a chunk is tried all
the same, for a proof of it would show the bounds to be false: `confront` stops the audit then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from auditor.checks.robustness.certifying import LinearProofs
from auditor.plan.op import op
from auditor.spec.builder import Builder, Ref
from auditor.spec.method import Crown

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.checks.robustness.certified import CertifiedRobustness
    from auditor.checks.robustness.certifying import CertifiedRows
    from auditor.methods.robustness import Bounds
    from auditor.methods.robustness.attacks import Adversarial
    from auditor.methods.robustness.met_pass import MetLogits

CHUNK = 32
"""Rows of one task: slow work that is lost at most when a run is stopped."""

REFUTED = 1
"""Rows of a chunk whose refuted sets are tried too."""


def plan_linear(
    build: Builder,
    check: CertifiedRobustness,
    method: Crown,
    *,
    certified: Ref[CertifiedRows],
    attacks: tuple[Ref[Adversarial], ...],
    logits: Ref[Tensor] | None,
    single: Ref[MetLogits] | None,
    bounds: Ref[Bounds],
) -> Ref[CertifiedRows]:
    """`certified` with what linear bounds add: one task a chunk of the source's rows, whichever are selected."""
    over = check.over
    assert over is not None
    rows, total = build.selected(over, check.where), build.count(over) or 0
    open_sets = build.add(find_open, certified=certified, attacks=attacks, epsilon=check.epsilon)
    order = build.add(rank_classes, logits=logits, single=single, rows=rows)
    chunks = tuple(
        build.add(
            bound_linearly,
            model=build.model(),
            bounds=bounds,
            inputs=build.inputs(over),
            rows=rows,
            order=order,
            open_sets=open_sets,
            start=start,
            stop=min(start + CHUNK, total),
            epsilon=check.epsilon,
            float32=check.arithmetic == "float32",
            seconds=method.seconds,
            batch_size=CHUNK,
        )
        for start in range(0, max(1, total), CHUNK)
    )
    return build.add(raise_radii, certified=certified, chunks=chunks, order=order, epsilon=check.epsilon)


class OpenSets(NamedTuple):
    """Which F^k of the selected rows to prove [rows, sizes]: those that nothing is known of, and among the undecided
    those that an attack has changed. `distance` [rows]: the farthest it had to go for one of these, −∞ where for none.
    """

    undecided: Tensor
    refuted: Tensor
    distance: Tensor


@op(version=2)
def find_open(*, certified: CertifiedRows, attacks: tuple[Adversarial, ...], epsilon: float) -> OpenSets:
    """A row is decided once a certified set holds its label; in the others every admissible set is open that is larger
    than those certified.
    """
    import torch

    certificates = certified.certificates
    assert certificates.vra_radius is not None
    sizes = certificates.radii.shape[1]
    larger = torch.arange(1, sizes + 1) > certificates.k[:, None]
    undecided = certificates.admissible & larger & (certificates.vra_radius < epsilon)[:, None]
    changed = torch.stack([attack.found & (attack.distance <= epsilon) for attack in attacks], 1)
    refuted = undecided & changed
    distances = torch.stack([attack.distance for attack in attacks], 1)
    return OpenSets(undecided & ~changed, refuted, torch.where(refuted, distances, -torch.inf).amax(1))


@op(version=1)
def rank_classes(*, logits: Tensor | None, single: MetLogits | None, rows: Tensor) -> Tensor:
    """The classes of the selected rows by falling logit, of equal ones the lowest first [rows, classes]; as the
    certificates count them.
    """
    if single is not None:
        scores = single.logits
    else:
        assert logits is not None
        scores = logits[rows]
    return scores.double().nan_to_num(0.0, 0.0, 0.0).argsort(dim=1, descending=True, stable=True)


@op(version=7, device=True)
def bound_linearly(
    *,
    model: Any,
    bounds: Bounds,
    inputs: Tensor,
    rows: Tensor,
    order: Tensor,
    open_sets: OpenSets,
    start: int,
    stop: int,
    epsilon: float,
    float32: bool,
    seconds: float,
    batch_size: int,
    device: str,
    progress: Callable[[int, int], None],
) -> LinearProofs:
    """Of those selected rows whose positions lie from `start` to `stop`, in order.

    Raises Unsupported, naming the node, where rows are undecided and the network has a layer without linear bounds.
    """
    import torch

    from auditor.methods.robustness.graph import network
    from auditor.methods.robustness.linear_bounds import certify_locally

    mine = ((rows >= start) & (rows < stop)).nonzero().flatten()
    undecided, refuted = open_sets.undecided[mine], open_sets.refuted[mine]
    wanted = undecided.clone()
    # Those that only just break: a bound that is false by little proves them first.
    again = open_sets.distance[mine].argsort(descending=True, stable=True)[:REFUTED]
    wanted[again] |= refuted[again]
    tried = wanted.any(1).nonzero().flatten()
    held, exhausted = torch.zeros_like(wanted), torch.zeros(len(mine), dtype=torch.bool)
    graph = network(model, tuple(inputs.shape[1:]), bounds.assumed) if len(tried) else None
    for first in range(0, len(tried), batch_size):
        part = tried[first : first + batch_size]
        assert graph is not None
        found = certify_locally(
            graph,
            inputs[rows[mine[part]]].to(device),
            epsilon,
            bounds.norm,
            wanted[part].to(device),
            order[mine[part]].to(device),
            arithmetic="float32" if float32 else "real",
            seconds=seconds,
            progress=_counted(progress, first, len(tried)),
        )
        held[part], exhausted[part] = found.held.cpu() & wanted[part], found.exhausted.cpu()
    return LinearProofs(held, undecided.any(1), exhausted & (undecided & ~held).any(1))


def _counted(progress: Callable[[int, int], None], before: int, total: int) -> Callable[[int], None]:
    return lambda done: progress(before + done, total)


@op(version=1)
def raise_radii(
    *, certified: CertifiedRows, chunks: tuple[LinearProofs, ...], order: Tensor, epsilon: float
) -> CertifiedRows:
    """The certificates, with a radius of `epsilon` for every set that linear bounds prove to keep within it."""
    import torch

    from auditor.methods.robustness.raising import raised

    proofs = LinearProofs(*(torch.cat(parts) for parts in zip(*chunks, strict=True)))
    certificates = raised(certified.certificates, proofs.held, order, epsilon, labels=certified.label)
    return certified._replace(certificates=certificates, linear=proofs)
