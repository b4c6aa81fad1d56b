"""A group of commands that imports a command when it runs, and never for the help of the group."""

from __future__ import annotations

import importlib
from typing import NamedTuple

import click

from auditor.cli.terminal import width


class Listed(NamedTuple):
    """A command as the group's help lists it: where it lives, its section and its line."""

    target: str
    section: str
    line: str


class LazyGroup(click.Group):
    """`listed` maps names to commands not imported yet; `later` to remedies for those that come with later versions."""

    def __init__(self, *args, listed: dict[str, Listed], later: dict[str, str], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.listed = listed
        self.later = later

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.listed)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.later:
            from auditor.errors import NotAvailable

            raise NotAvailable(f"auditor {cmd_name} comes later", remedy=self.later[cmd_name])
        if cmd_name not in self.listed:
            return None
        module, _, name = self.listed[cmd_name].target.partition(":")
        return getattr(importlib.import_module(module), name)

    def resolve_command(self, ctx: click.Context, args: list[str]):
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], self.listed, n=1)
            if near and isinstance(error, click.exceptions.NoSuchCommand):
                raise click.UsageError(f"no command {args[0]!r}; did you mean {near[0]!r}?", ctx) from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, listed in self.listed.items():
            sections.setdefault(listed.section, []).append((name, listed.line))
        longest = max(len(name) for name in self.listed)
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(longest), line) for name, line in rows])


CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100, "terminal_width": width()}
"""Settings of every command."""
