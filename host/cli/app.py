# SPDX-License-Identifier: Apache-2.0
"""The command line."""

import os
import sys
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from tritforge.host.cli.console import report
from tritforge.host.cli.lazy import MARKUP, Command, Group, Lazy

MODELS, CORES, FIGURES = "Models", "Cores", "Figures"
COMMANDS = {
    "random-checkpoint": Command("image", "random_checkpoint", MODELS),
    "ternarise": Command("image", "ternarise", MODELS),
    "train": Group("train", ("model", "calibrate", "dream"), MODELS),
    "pack": Command("image", "pack", MODELS),
    "info": Command("image", "info", MODELS),
    "generate": Command("run", "generate_text", MODELS),
    "logits": Command("run", "logits", MODELS),
    "eval": Command("run", "evaluate", MODELS),
    "verilog": Command("image", "verilog", CORES),
    "cosim": Command("cosim", "cosim", CORES),
    "demo": Command("cosim", "demo", CORES),
    "mutate": Command("cosim", "mutate", CORES),
    "coverage": Command("cosim", "coverage", CORES),
    "board": Group("board", ("build", "simulate", "program", "test", "load"), CORES),
    "synth": Command("synth", "synth", CORES),
    "power": Command("power", "power", CORES),
    "check": Group("check", ("lint", "reset", "blocks"), CORES),
    "estimate": Command("estimate", "estimate_core", FIGURES),
    "project": Command("estimate", "project_cores", FIGURES),
    "codes": Command("estimate", "compare_codes", FIGURES),
    "report": Command("estimate", "write_report", FIGURES),
    "bench": Command("bench", "bench", FIGURES),
    "scaling": Command("bench", "scale_out", FIGURES),
    "measure": Group(
        "measure",
        ("errors", "fidelity", "outliers", "repeated", "rows", "size", "memory", "timeline", "ddr3"),
        FIGURES,
    ),
    "draw": Group("draw", ("trace", "rows"), FIGURES),
    "docs": Command("docs", "docs", FIGURES),
}
DEBUG = "debug"
"""In a context's ``meta``: whether errors show where they come from."""


def _debug(ctx: typer.Context, value: bool) -> bool:
    ctx.meta[DEBUG] = ctx.meta.get(DEBUG) or value
    return value


class Commands(Lazy):
    """`COMMANDS`, whose errors end in one sentence: bad input with exit status 2, failures and bugs with 1."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes | {"commands": COMMANDS})

    def invoke(self, ctx: Any) -> Any:
        """Run a command; no traceback but with --debug."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, TyperException, BrokenPipeError):
            raise
        except Exception as error:
            raise typer.Exit(report(error, ctx.meta.get(DEBUG))) from error


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, rich_markup_mode=MARKUP)


@app.callback()
def tritforge(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.", callback=_debug)] = False,
) -> None:
    """Generate, simulate and drive FPGA accelerators of MatMul-free language models.

    Example: tritforge demo
    """


def main() -> None:
    """Run the command line."""
    # work comes in pieces that fit the cache; threads that wait for one another cost far more than they bring
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # what the terminal cannot show, such as a path that is no text, is shown as its code
    if isinstance(sys.stdout, TextIOWrapper):  # it may be closed
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except BrokenPipeError:
        raise
    except Exception as error:  # before a command has begun, such as of its help
        sys.exit(report(error))
