# SPDX-License-Identifier: Apache-2.0
"""Commands that are imported when they are called, so that none pays for what another needs."""

import ast
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

MARKUP: Final = "markdown"


@dataclass(frozen=True)
class Command:
    """A function of a module of this folder; its docstring is its help.

    Attributes
    ----------
    module, function
        Their names.
    panel
        Heading that it stands under in a list of commands; None for the usual one.
    """

    module: str
    function: str
    panel: str | None = None

    def help(self) -> str | None:
        """The docstring, read from the source: nothing is imported."""
        functions = (node for node in _source(self.module).body if isinstance(node, ast.FunctionDef))
        return next(ast.get_docstring(node) for node in functions if node.name == self.function)

    def made(self, name: str) -> Any:
        """The command itself, imported."""
        single = typer.Typer(add_completion=False, rich_markup_mode=MARKUP)
        single.command(name)(getattr(import_module(f"tritforge.host.cli.{self.module}"), self.function))
        return typer.main.get_command(single)


@dataclass(frozen=True)
class Group:
    """Commands that are functions of one module of this folder, whose docstring is the group's help.

    Attributes
    ----------
    module
        Its name.
    functions
        Of the commands, whose names they are.
    panel
        See `Command`.
    """

    module: str
    functions: Sequence[str]
    panel: str | None = None

    def help(self) -> str | None:
        """The docstring, read from the source: nothing is imported."""
        return ast.get_docstring(_source(self.module))

    def made(self, name: str) -> Any:
        """The group, of which nothing is imported yet."""
        commands = {function: Command(self.module, function) for function in self.functions}
        return Lazy(commands, name=name, help=self.help(), no_args_is_help=True, rich_markup_mode=MARKUP)


class Lazy(TyperGroup):
    """A group of commands by their names."""

    def __init__(self, commands: Mapping[str, Command | Group], **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = dict(commands)

    def get_command(self, ctx: Any, name: str) -> Any:
        """What a list of commands tells of one; None where there is none of this name."""
        entry = self.commands.get(name)
        return entry and TyperCommand(name, help=entry.help(), rich_help_panel=entry.panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the words begin with, imported now."""
        name, told, rest = super().resolve_command(ctx, args)
        if told is None:
            return name, None, rest
        command = self.commands[name].made(name)
        # the group's options may also stand behind the command's name
        for option in map(copy, self.params):
            option.expose_value = False
            command.params.append(option)
        return name, command, rest


def _source(module: str) -> ast.Module:
    return ast.parse(Path(__file__).with_name(f"{module}.py").read_bytes())
