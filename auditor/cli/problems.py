"""Problems of a spec, the way compilers print them."""

from __future__ import annotations

from collections.abc import Iterable

import click

from auditor.cli.terminal import bold, dim, say
from auditor.errors import SpecProblem


def show(problems: Iterable[SpecProblem]) -> None:
    """Each problem as `file:line:column: code: what`, its remedy below."""
    for problem in problems:
        place = bold(f"{problem.file}:{problem.line}:{problem.column}")
        say(f"{place}: {click.style(problem.code, fg='red')}: {problem.what}", err=True)
        if problem.remedy:
            say(f"    {dim(problem.remedy)}", err=True)
