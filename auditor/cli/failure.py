"""How an error reaches a person: what, remedy, exit code; for our own mistakes where the traceback was saved."""

from __future__ import annotations

import shlex
import tempfile
import traceback
from collections.abc import Sequence

import click

from auditor.cli.terminal import bold, dim, say

INTERRUPTED = 130


def report_failure(error: BaseException, arguments: Sequence[str]) -> int:
    """Prints `error` to standard error and returns the exit code of the contract."""
    from auditor.errors import AuditorError, SpecErrors

    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return _interrupted("interrupted", arguments)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return 2
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "auditor"
        _problem(error.format_message(), f"{path} --help says more")
        return 2
    if isinstance(error, SpecErrors):
        from auditor.cli.problems import show

        show(error.problems)
        return error.exit_code
    if isinstance(error, AuditorError):
        if error.exit_code == INTERRUPTED:
            return _interrupted(error.what, arguments)
        _problem(error.what, error.remedy)
        return error.exit_code
    if isinstance(error, OSError) and error.filename is not None:
        _problem(f"{error.filename}: {error.strerror}", None)
        return 3 if isinstance(error, FileNotFoundError) else 4
    _problem(
        f"internal error: {type(error).__name__}: {error}",
        f"this is a mistake in auditor, not in your spec; the traceback is in {_saved(error, arguments)}",
    )
    return 4


def command(arguments: Sequence[str]) -> str:
    """The command line that was given, quoted for a shell."""
    return shlex.join(["auditor", *arguments])


def _problem(what: str, remedy: str | None) -> None:
    say(f"{bold(click.style('error:', fg='red'))} {what}", err=True)
    if remedy:
        say("\n".join(f"  {dim(line)}" for line in remedy.splitlines()), err=True)


def _saved(error: BaseException, arguments: Sequence[str]) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="auditor-", suffix=".txt", delete=False, encoding="utf-8") as stream:
        stream.write(f"{command(arguments)}\n\n")
        stream.write("".join(traceback.format_exception(error)))
    return stream.name


def _interrupted(what: str, arguments: Sequence[str]) -> int:
    """Says how to go on. CPython remembers an interrupt that passed through an `exec` of text, as `namedtuple` and
    `dataclass` use it, even where it was caught, and `python -m` would end by SIGINT; the next `exec` forgets it.
    """
    exec("")
    _problem(what, f"resume with: {command(arguments)}")
    return INTERRUPTED
