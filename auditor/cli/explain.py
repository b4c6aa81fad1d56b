"""`auditor explain`: a word of ours in a paragraph."""

from __future__ import annotations

import difflib

import click

from auditor.cli.lazy import CONTEXT
from auditor.cli.terminal import bold, dim, paragraph, say

STATUSES = {
    "pass": "The whole interval, or the certificate, is on the right side of the threshold.",
    "fail": "The whole interval is on the wrong side, or a concrete counterexample is in hand.",
    "inconclusive": (
        "The interval straddles the threshold, the rows cannot decide, or the time budget ran out: neither shown "
        "nor refuted. It does not open a gate. More rows, or a threshold further from the value, decide it."
    ),
    "error": "The check could not finish; the finding says what failed and where. It cannot be waived.",
    "skipped": (
        "The check was not selected, or needs a task that failed in another check. If it was selected, it blocks."
    ),
    "waived": "A live waiver accepts a fail or an inconclusive; the original status stays in view.",
    "blocked": (
        "The gate is closed: a severity-error check failed, was not decided or could not finish, got worse than "
        "the baseline allows, or its waiver has expired."
    ),
    "passed": "Nothing keeps the gate closed. Warnings may remain.",
    "regression": "The metric moved in its bad direction, against --baseline, by more than `gate.regression`.",
    "certified": "A theorem about this model: no exception exists under the stated assumptions.",
    "probabilistic": "A theorem that holds with probability 1 - alpha over the random draws of the method.",
    "measured": "A number with an interval at the stated confidence.",
    "attacked": "The strongest attack tried did not do better. A stronger one might: this is no proof.",
}
ERRORS = {
    "usage": "The command line asks for something that is not there, or a selection is empty. Exit 2.",
    "invalid-spec": "The spec has errors; each is listed with its place and code. Exit 2.",
    "not-available": (
        "A check, an option or a format that a later version brings. The message says how to leave it out. Exit 2."
    ),
    "undecidable": (
        "The rows at hand could never give a pass at this confidence. Give more rows. Exit 2 from `auditor plan`; "
        "`auditor check` reports the check as inconclusive without running it."
    ),
    "model": (
        "The model file is missing, broken, or does not fit the spec's architecture, input shape or classes. Exit 3."
    ),
    "load-refused": (
        "Loading this file could run code: a pickled module, TorchScript or .pt2. Save a state dict or "
        "safetensors, or pass --allow-unsafe-load if you trust the file. Exit 3."
    ),
    "data": (
        "A source is missing or broken, has NaN, out-of-range or wrong-shape rows, or shares rows with a source "
        "of another role. The message names the rows. Exit 3."
    ),
    "hash-mismatch": (
        "A file is not the one that the spec pins with sha256. Either the file or the pin is wrong. Exit 3."
    ),
    "missing-file": (
        "A file named in the spec is not in the working directory, nor in the folder that AUDITOR_DATA names, nor "
        "beside the spec. Exit 3."
    ),
    "unsupported": (
        "No sound bound is known for an operation of this model, so nothing is certified rather than guessed. The "
        "finding names the node."
    ),
    "certificate-broken": (
        "An attack flipped a point that was certified. That is a mistake in auditor and voids every certificate "
        "of the run: the audit stops, the checks concerned end in an error, and the witness is kept. Please "
        "report it."
    ),
    "assumption-broken": (
        "Two inputs were found between which the model changes more than it could if every constant under the spec's "
        "model.assumed were true. So one of them is too small, and what was certified with it is worth nothing."
    ),
    "out-of-time": (
        "The time budget ran out while a task was on its way. Its checks are inconclusive; what had finished is in the "
        "store, so another run goes on from there."
    ),
    "task-failed": (
        "A task of the graph raised an error; the checks that need it end in error or skipped. Others go on."
    ),
    "record": (
        "A results file or a store entry cannot be read. Run the audit again; the store computes what it lacks. Exit 3."
    ),
    "render": "The results are saved, a format could not be rendered. `auditor report RUN` tries again. Exit 5.",
    "interrupted": (
        "Stopped by the user. What had finished is in the store: the same command goes on from there. Exit 130."
    ),
    "internal": "A mistake in auditor itself. The message says where the traceback was saved. Exit 4.",
}


@click.command(context_settings=CONTEXT)
@click.argument("code", required=False)
def explain(code: str | None) -> int:
    """Say what CODE means: an error code, a status, an exit code. Without CODE, list them."""
    known = meanings()
    if code is None:
        for name in known:
            say(name)
        return 0
    if code not in known:
        near = difflib.get_close_matches(code, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`auditor explain` lists what there is"
        raise click.UsageError(f"{code!r} is no code of ours; {hint}")
    kind, text = known[code]
    say(f"{bold(code)}  {dim(kind)}")
    paragraph(text)
    return 0


def meanings() -> dict[str, tuple[str, str]]:
    """From code to its kind and meaning, spec codes included."""
    from auditor.gate.exit_code import Exit
    from auditor.spec.codes import CODES

    known = {str(int(code)): ("exit code", f"{code.meaning[:1].upper()}{code.meaning[1:]}.") for code in Exit}
    known |= {name: ("status", text) for name, text in STATUSES.items()}
    known |= {name: ("error", text) for name, text in ERRORS.items()}
    known |= {name: ("error in a spec", text) for name, text in CODES.items() if name not in ERRORS}
    return known
