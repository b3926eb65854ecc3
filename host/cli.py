# SPDX-License-Identifier: Apache-2.0
"""The command line."""

import os
import sys
from copy import copy
from importlib import import_module
from typing import Annotated, Any

import typer

from host.console import DEBUG, Commands

COMMANDS = {
    "random-checkpoint": ("cli_checkpoint", "random_checkpoint"),
    "ternarise": ("cli_checkpoint", "ternarise"),
    "pack": ("cli_image", "pack"),
    "info": ("cli_image", "info"),
    "verilog": ("cli_image", "verilog"),
    "generate": ("cli_run", "generate_text"),
    "logits": ("cli_run", "logits"),
    "eval": ("cli_eval", "evaluate"),
    "cosim": ("cli_sim", "cosim"),
    "demo": ("cli_sim", "demo"),
    "synth": ("cli_synth", "synth"),
    "power": ("cli_power", "power"),
    "bench": ("cli_bench", "bench"),
    "estimate": ("cli_estimate", "estimate_core"),
    "project": ("cli_estimate", "project_cores"),
    "report": ("cli_estimate", "write_report"),
    "docs": ("cli_docs", "docs"),
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
        single.command(name)(getattr(import_module(f"host.{module}"), function))
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
    app()
