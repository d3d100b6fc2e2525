"""What README says of commands is what the code has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mockcloud.cli.main import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def leaves(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from leaves(child, (*path, name))
    else:
        yield path, command


COMMANDS = dict(leaves(main))


def shown(program: str) -> list[str]:
    return re.findall(rf"^\$ {program} ([^#\n]*)", README, flags=re.MULTILINE)


@pytest.mark.parametrize("line", shown("mockcloud"))
def test_a_command_in_readme_parses(line: str) -> None:
    words = shlex.split(line)
    path = next((path for path in COMMANDS if words[: len(path)] == list(path)), None)
    assert path is not None, f"no command {line!r}"
    COMMANDS[path].make_context("mockcloud", words[len(path) :])


def test_readme_lists_every_command_with_its_help() -> None:
    listed = dict(re.findall(r"^\| `mockcloud ([^`]+)` \| ([^|]+) \|$", README, flags=re.MULTILINE))
    existing = {}
    for path, command in COMMANDS.items():
        arguments = [
            parameter.make_metavar(click.Context(command))
            for parameter in command.params
            if isinstance(parameter, click.Argument)
        ]
        name = " ".join([*path, *arguments])
        existing[name] = (command.help or "").strip().splitlines()[0]
    assert {name: text.strip() for name, text in listed.items()} == existing


def test_make_targets_in_readme_and_ci_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, flags=re.MULTILINE)[0].split())
    assert phony <= targets
    used = {line.split()[0] for line in shown("make")}
    used |= set(re.findall(r"`make ([a-z]+)", README))
    used |= set(re.findall(r"^make ([a-z]+)", (ROOT / ".ci" / "run").read_text(), flags=re.MULTILINE))
    assert {"demo", "test"} <= used
    assert used <= targets


@pytest.mark.parametrize("path", sorted(COMMANDS), ids=" ".join)
def test_help_is_shown(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert (COMMANDS[path].help or "").split("\n")[0].split(";")[0].split()[0] in result.output


def test_without_a_cloud_a_command_says_so_and_fails() -> None:
    result = CliRunner().invoke(main, ["status", "--cloud", "127.0.0.1:1"])
    assert result.exit_code == 1
    assert "no cloud answers at 127.0.0.1:1" in result.output
