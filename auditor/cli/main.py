"""The root command: what there is, and how every error ends the program."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from auditor import __version__
from auditor.cli.lazy import CONTEXT, LazyGroup, Listed
from auditor.cli.terminal import colour_wanted

AUDIT, SPEC, RESULTS, ROUND = "Audit", "Spec", "Results", "Around it"

COMMANDS = {
    "init": Listed("auditor.cli.init:init", AUDIT, "write a first spec, a CI workflow and a .gitignore"),
    "train": Listed("auditor.cli.train:train", AUDIT, "train the model that the spec's `training` declares"),
    "check": Listed("auditor.cli.check:check", AUDIT, "audit a model: run the checks, gate, write the report"),
    "validate": Listed("auditor.cli.validate:validate", SPEC, "every error of a spec, with file:line:column"),
    "plan": Listed("auditor.cli.plan:plan", SPEC, "what would run, what is cached, what it costs and can decide"),
    "graph": Listed("auditor.cli.graph:graph", SPEC, "the graph of tasks as mermaid, dot, svg or json"),
    "waive": Listed("auditor.cli.waive:waive", SPEC, "accept one check as it is, until a day, in somebody's name"),
    "list": Listed("auditor.cli.listing:listing", SPEC, "what a spec may name: checks, metrics, sets"),
    "schema": Listed("auditor.cli.schema:schema", SPEC, "the JSON Schema of specs, for editors"),
    "report": Listed("auditor.cli.report:report", RESULTS, "render a finished run again, without model or torch"),
    "diff": Listed("auditor.cli.diff:diff", RESULTS, "what changed between two runs"),
    "verify": Listed("auditor.cli.verify:verify", RESULTS, "prove a run's certificate again, without torch"),
    "explain": Listed("auditor.cli.explain:explain", ROUND, "what an error code, a status or an exit code means"),
    "doctor": Listed("auditor.cli.doctor:doctor", ROUND, "what is installed, what is missing, what to do about it"),
    "cache": Listed("auditor.cli.cache:cache", ROUND, "the store of results: what it holds (ls), clear out (gc)"),
}
LATER = {
    "attest": "signed statements arrive with a later version; results.json and its hashes are there today",
    "mitigate": "mitigation of the last layer arrives with a later version; bias.amplification measures today",
}


@click.group(cls=LazyGroup, listed=COMMANDS, later=LATER, context_settings=CONTEXT)
@click.version_option(__version__, "-V", "--version", message="auditor %(version)s")
def cli() -> None:
    """Decide whether a neural-network classifier is conceptually sound.

    A YAML spec says what soundness means for this model; `auditor check SPEC MODEL` measures, certifies and attacks,
    and ends with a verdict, a report that a person signs and an exit code that a CI job obeys.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with the code of the contract."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = cli.main(arguments, prog_name="auditor", standalone_mode=False, color=colour_wanted(), obj=arguments)
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except BaseException as error:
        from auditor.cli.failure import report_failure

        code = report_failure(error, arguments)
    sys.exit(code if isinstance(code, int) else 0)
