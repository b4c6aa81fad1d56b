"""`auditor verify`: a certificate proved again, by other code than that which issued it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli import options
from auditor.cli.lazy import CONTEXT
from auditor.cli.terminal import bold, paragraph, say

if TYPE_CHECKING:
    from auditor.certificate.verify import Origins

NOT_PROVED = 1


@click.command(context_settings=CONTEXT)
@click.argument("certificate", type=options.RUN)
@click.argument("weights", type=options.RUN, required=False)
@click.option("--model", type=options.RUN, metavar="FILE", help="Also compare with the audited model file.")
@click.option("--accept-assumed", is_flag=True, help="Let it stand on constants that the user vouches for.")
def verify(certificate: Path, weights: Path | None, model: Path | None, accept_assumed: bool) -> int:
    """Prove again what CERTIFICATE states of WEIGHTS, with NumPy and rational numbers alone.

    CERTIFICATE is a run's folder or its certificate.json; WEIGHTS its weights.safetensors, by default the file beside
    the certificate, which holds the model's own tensors. The layers are folded from them again; proved are every
    layer's bound and the constants that follow for the margins between classes. With --model, that the file has the
    certificate's hash, and for safetensors or a state dict that it holds these tensors bit for bit. That the model's
    code applies these layers, what its logits are and how exactly they were computed is the run's word.

    Exit 1 if a statement could not be proved, a layer's kind is not known here, or the certificate rests on a constant
    that is assumed and --accept-assumed is not given; 3 if a file is missing, broken, changed or another than the
    certificate speaks of.
    """
    from auditor.certificate.verify import verify as prove
    from auditor.certificate.writing import CERTIFICATE, WEIGHTS

    path = certificate / CERTIFICATE if certificate.is_dir() else certificate
    found = prove(path, weights or path.with_name(WEIGHTS), model)
    for text in found.refuted:
        paragraph(text, first=f"{click.style('not proved:', fg='red', bold=True)} ", follow="  ")
    for text in found.unverified:
        paragraph(text, first=f"{click.style('not verified:', fg='yellow', bold=True)} ", follow="  ")
    for text in found.assumed:
        paragraph(text, first=f"{click.style('assumed:', fg='yellow', bold=True)} ", follow="  ")
    for claim in found.certificate.claims:
        share = f"{claim.certified:,} of {claim.rows:,} rows certified within {claim.epsilon:g} ({claim.norm})"
        paragraph(f"{share}, {claim.vra:,} of them right", first=f"{bold(claim.check)}  ", follow="  ")
        if claim.locally:
            local = f"{claim.locally:,} of these rest on linear bounds around the row, which are not proved again"
            paragraph(local, quiet=True)
    _origins(found.origin, model)
    layers = f"{found.layers} layer bound{'' if found.layers == 1 else 's'}"
    if found.stands and (accept_assumed or not found.assumed):
        given = ", given what is assumed" if found.assumed else ""
        head = f"{click.style('proved again:', fg='green', bold=True)} "
        paragraph(f"{layers} and the constants of the margins{given}", first=head, follow="  ")
        _note("the run's word: that the model applies these layers, the rows' logits, how exactly they were computed")
        return 0
    if found.stands:
        text = f"{layers} proved again; the certificate stands only on what is assumed (--accept-assumed takes it)"
        paragraph(text, first="", follow="  ")
    else:
        say(f"{layers} proved again; the certificate does not stand")
    return NOT_PROVED


def _origins(found: Origins, model: Path | None) -> None:
    """Where the tensors come from, as far as that was looked into."""
    tensors = f"{found.held:,} tensor{'' if found.held == 1 else 's'}"
    if model is None:
        _note(f"{tensors} under the names of the model's; --model FILE compares them with its file")
    elif found.found is None:
        _note(f"{model.name} has the hash that the certificate names; its tensors are not read in this format")
    else:
        say(f"{found.found:,} of {tensors} found in {model.name}, bit for bit")
    for names, what in (
        (found.stated, "stated by the spec"),
        (found.computed, "computed by the model's code"),
        (found.unused, "of the model file, enter the logits only by what is computed, if at all"),
    ):
        if names:
            _note(f"the run's word: {', '.join(names)}, {what}")


def _note(text: str) -> None:
    paragraph(text, first="", follow="  ", quiet=True)
