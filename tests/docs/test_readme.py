"""The README's first spec is a good one, and every command and option in the pages a newcomer reads exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from auditor.checks.registry import discover
from auditor.cli.main import COMMANDS, cli
from auditor.spec import load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/certificates.md", "docs/training.md", "docs/verdicts.md")


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None, name
    return found


def test_the_first_spec_loads(tmp_path: Path) -> None:
    written = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert written is not None
    spec = tmp_path / "spec.yaml"
    spec.write_text(written[1], "utf-8")
    assert list(load(spec, discover()).checks) == ["accuracy", "robust", "private"]


def test_every_command_is_in_the_readme() -> None:
    assert {name for name in COMMANDS if f"`auditor {name}" not in README.replace("    auditor", "`auditor")} == set()


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_their_options_exist(page: str) -> None:
    lines = re.findall(r"(?:`| {4})auditor ([a-z]+)((?: [^`\n|&]*)?)", (ROOT / page).read_text("utf-8"))
    for name, rest in lines:
        known = {option for parameter in command(name).params for option in parameter.opts}
        assert {option for option in re.findall(r"--[a-z-]+", rest) if option not in known} == set(), (page, name)


def test_every_make_target_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"(?:`| {4})make ([a-z]+)", (ROOT / page).read_text("utf-8"))) <= targets
