# SPDX-License-Identifier: Apache-2.0
"""Runs commands as a user does, and says what they must do."""

import json

from click.testing import Result
from typer.testing import CliRunner

from tritforge.host.cli.app import app

TINY = ("--preset", "tiny")


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def call(*arguments: object) -> str:
    """Run a command that must succeed; return what it printed."""
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def ask(*arguments: object) -> dict:
    """Run a command with --json."""
    return json.loads(call(*arguments, "--json"))


def refuse(message: str, *arguments: object, status: int = 2) -> None:
    """Run a command that must fail with one sentence on stderr that holds `message`."""
    result = invoke(*arguments)
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit) and result.stdout == ""
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1 and message in result.stderr
