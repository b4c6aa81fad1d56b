"""Annotations where GitHub Actions runs us: each blocking reason at its line of the spec."""

from __future__ import annotations

import os

import click

from auditor.records import Results


def annotate(results: Results) -> None:
    """Prints workflow commands if GITHUB_ACTIONS is true, nothing elsewhere."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    for line in commands(results):
        click.echo(line)


def commands(results: Results) -> list[str]:
    """`::error file=...,line=...,title=...::text` for what blocks, `::warning` for the rest."""
    places = {finding.check: (finding.file or results.spec.path, finding.line) for finding in results.findings}
    found = [
        _command(
            "error",
            *places.get(reason.check, (results.spec.path, None)),
            title=f"{reason.check}: {reason.status}",
            text=reason.text,
        )
        for reason in results.verdict.reasons
    ]
    found += [_command("warning", results.spec.path, None, "auditor", text) for text in results.verdict.warnings]
    return found


def _command(level: str, file: str, line: int | None, title: str, text: str) -> str:
    place = f"file={_property(file)}" + (f",line={line}" if line else "")
    return f"::{level} {place},title={_property(title)}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
