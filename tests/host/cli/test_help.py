# SPDX-License-Identifier: Apache-2.0
"""Every command explains itself, takes little time to do so, and is the only way in."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import call, invoke
from tritforge.host.cli.app import COMMANDS
from tritforge.host.cli.lazy import Group

ROOT = Path(__file__).parents[3]
PACKAGES = ("golden", "hw", "rtl_gen", "sim", "perf", "host")
CARRIED = ROOT / "rtl_gen" / "synthesis" / "route.py"
"""A script for machines without this project."""
CALLED_BY_MAKE = ROOT / "rtl_gen" / "tools" / "join_sources.py"
"""In the place of a program of Verilator's."""


def names() -> Iterator[tuple[str, ...]]:
    """The words of all commands that do something."""
    for name, entry in COMMANDS.items():
        yield from ((name, inner) for inner in entry.functions) if isinstance(entry, Group) else ((name,),)


NAMES, GROUPS = list(names()), [name for name, entry in COMMANDS.items() if isinstance(entry, Group)]


def plain(text: str) -> str:
    """Help in one line."""
    return " ".join(re.sub("[│╭╰╮╯─]", " ", text).split())


@pytest.mark.parametrize("words", NAMES, ids=" ".join)
def test_a_command_explains_itself_with_an_example(words: tuple[str, ...]) -> None:
    text = plain(call(*words, "--help"))
    assert f"Example: tritforge {' '.join(words)} " in text and "--json" in text and "--debug" in text
    example, options = re.split(" Arguments | Options ", text.split("Example: ")[1], maxsplit=1)
    assert all(f"{option} " in options for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", example))


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_explains_itself_and_its_commands(group: str) -> None:
    text = plain(call(group, "--help"))
    assert f"Example: tritforge {group} " in text
    assert all(f" {name} " in text for name in COMMANDS[group].functions)
    assert invoke(group).exit_code == 2 and invoke(group, "none").exit_code == 2


def test_all_commands_are_listed() -> None:
    text = plain(call("--help"))
    assert all(f" {name} " in text for name in COMMANDS)


@pytest.mark.parametrize("words", [(), ("train",), ("measure",)])
def test_a_list_of_commands_imports_none_of_them(words: tuple[str, ...]) -> None:
    program = (
        "import sys; from tritforge.host.cli.app import app\n"
        f"try: app({[*words, '--help']})\n"
        "except SystemExit: pass\n"
        "print(*sorted(set(sys.modules) & {'numpy', 'torch', 'amaranth', 'tokenizers'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Usage: " in done.stdout and done.stderr == "\n"


def test_no_other_module_is_a_program() -> None:
    found = []
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_bytes())
        modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        runs = any(isinstance(node, ast.Constant) and node.value == "__main__" for node in ast.walk(tree))
        commands = path.is_relative_to(ROOT / "host" / "cli")
        if {"argparse", "optparse"} & modules or (("typer" in modules or runs) and not commands):
            found.append(path)
    assert sorted(found) == [ROOT / "host" / "__main__.py", CARRIED, CALLED_BY_MAKE]
