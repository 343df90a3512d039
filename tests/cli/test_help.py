"""What a person at a shell is told before anything runs: help with examples that are right, and completion."""

import os
import re
import shlex
import subprocess

import pytest
import typer
from development_process import PROGRAM
from typer.testing import CliRunner

from mediabucket_cli.main import app

COMMANDS = sorted(command.callback.__name__ for command in app.registered_commands if command.callback)
WIDE = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}


def help_of(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--help"], env=WIDE)
    assert result.exit_code == 0
    return result.output


def test_the_help_names_every_command() -> None:
    told = help_of()
    assert "Example: mediabucket dev" in told
    assert [command for command in COMMANDS if not re.search(rf"^\W*{command}\s", told, re.MULTILINE)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_of_a_command_is_one_that_it_understands(command: str) -> None:
    [example] = re.findall(r"Example: mediabucket (.+?)\s*$", help_of(command), re.MULTILINE)
    name, *arguments = shlex.split(example)
    assert name == command
    group = typer.main.get_command(app)
    understood = group.get_command(typer.Context(group), command)  # type: ignore[attr-defined]
    understood.make_context(command, arguments)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_its_script(shell: str) -> None:
    asked = os.environ | {"_MEDIABUCKET_COMPLETE": f"source_{shell}"}
    told = subprocess.run([PROGRAM], capture_output=True, text=True, check=True, env=asked).stdout
    assert f"complete_{shell}" in told


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("mediabucket up", "upload"), ("mediabucket audit --rep", "--repair"), ("mediabucket dev --fail", "--fail-puts")],
)
def test_bash_completes_commands_and_options(typed: str, expected: str) -> None:
    """The script of `--show-completion`, in a real bash."""
    program = PROGRAM.parent
    script = f"""
        eval "$(mediabucket --show-completion bash)"
        COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _mediabucket_completion mediabucket; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    environment = {"PATH": f"{program}:{os.environ['PATH']}", "HOME": os.environ["HOME"]}
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert (ran.stdout.split(), ran.stderr) == ([expected], "")
