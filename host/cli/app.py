# SPDX-License-Identifier: Apache-2.0
"""The command line."""

import os
import sys
from copy import copy
from importlib import import_module
from typing import Annotated, Any

import typer

from tritforge.host.cli.console import DEBUG, Commands, report

COMMANDS = {
    "random-checkpoint": ("checkpoint", "random_checkpoint"),
    "ternarise": ("checkpoint", "ternarise"),
    "pack": ("image", "pack"),
    "info": ("image", "info"),
    "verilog": ("image", "verilog"),
    "generate": ("run", "generate_text"),
    "logits": ("run", "logits"),
    "eval": ("evaluate", "evaluate"),
    "cosim": ("cosim", "cosim"),
    "demo": ("cosim", "demo"),
    "synth": ("synth", "synth"),
    "power": ("power", "power"),
    "bench": ("bench", "bench"),
    "estimate": ("estimate", "estimate_core"),
    "project": ("estimate", "project_cores"),
    "report": ("estimate", "write_report"),
    "docs": ("docs", "docs"),
}
"""The module and function of each; imported when it is called, so that none pays for what another needs."""


def _debug(ctx: typer.Context, value: bool) -> bool:
    ctx.meta[DEBUG] = ctx.meta.get(DEBUG) or value
    return value


class Lazy(Commands):
    """The commands of `COMMANDS`."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = dict.fromkeys(COMMANDS)

    def get_command(self, ctx: Any, name: str) -> Any:
        """A command, made when it is asked for; None where there is none of this name."""
        if name not in COMMANDS:
            return None
        module, function = COMMANDS[name]
        single = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        single.command(name)(getattr(import_module(f"tritforge.host.cli.{module}"), function))
        command = typer.main.get_command(single)
        # the group's options may also stand behind the command's name
        for option in map(copy, self.params):
            option.expose_value = False
            command.params.append(option)
        return command


app = typer.Typer(cls=Lazy, no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")


@app.callback()
def tritforge(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.", callback=_debug)] = False,
) -> None:
    """Generate, simulate and drive FPGA accelerators of MatMul-free language models."""


def main() -> None:
    """Run the command line."""
    # work comes in pieces that fit the cache; threads that wait for one another cost far more than they bring
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # what the terminal cannot show, such as a path that is no text, is shown as its code
    if sys.stdout is not None:  # it may be closed
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except BrokenPipeError:
        raise
    except Exception as error:  # before a command has begun, such as of its help
        sys.exit(report(error))
