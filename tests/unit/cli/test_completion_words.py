"""What the shells complete is what the parsers and the table of options say."""

from __future__ import annotations

import pytest

from hotwhisk.cli import main, up
from hotwhisk.cli.command_names import COMMANDS
from hotwhisk.cli.completion import SHELLS
from hotwhisk.cli.completion_words import Command, Flag, ValueKind, commands
from hotwhisk.config.options import OPTIONS

BY_WORDS = {command.words: command for command in commands()}


def flag(command: Command, name: str) -> Flag:
    (found,) = [each for each in command.flags if name in each.names]
    return found


def test_every_command_is_completed_also_those_of_up() -> None:
    assert {words[0] for words in BY_WORDS} == set(COMMANDS)
    assert {words[1] for words in BY_WORDS if len(words) > 1} == set(up.subcommands())
    assert all(flag(command, "--help") for command in BY_WORDS.values())


def test_the_options_of_serve_are_those_of_its_table() -> None:
    serve = BY_WORDS["serve",]
    for option in OPTIONS:
        found = flag(serve, option.flag)
        assert found.help == option.help
        assert [value.name for value in found.values] == [option.metavar] * (not option.is_switch)
    assert flag(serve, "--no-watch").values == ()
    assert flag(serve, "--preload").repeats


def test_the_placeholder_says_what_a_value_is() -> None:
    build, invoke = BY_WORDS["build",], BY_WORDS["invoke",]
    assert flag(build, "--format").values[0].words == ("app", "zip")
    assert flag(build, "--output").values[0].kind is ValueKind.FILE
    assert flag(BY_WORDS["status",], "--run-dir").values[0].kind is ValueKind.FOLDER
    assert [value.name for value in flag(invoke, "-p").values] == ["KEY", "VALUE"]
    assert flag(invoke, "-P").values[0].kind is ValueKind.FILE
    assert BY_WORDS["compare",].repeats
    assert BY_WORDS["new",].argument is None


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_names_every_option(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for command in BY_WORDS.values():
        for name in [name for each in command.flags for name in each.names]:
            assert name.lstrip("-") in script


def test_another_shell_is_refused_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["completion", "tcsh"]) == 2
    said = capsys.readouterr().err
    assert all(shell in said for shell in SHELLS)
