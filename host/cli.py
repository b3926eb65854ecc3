# SPDX-License-Identifier: Apache-2.0
"""The command line."""

import torch
import typer

from host import cli_bench, cli_checkpoint, cli_estimate, cli_image, cli_power, cli_run, cli_sim, cli_synth
from host.console import Commands

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Generate, simulate and drive FPGA accelerators of MatMul-free language models.",
)
for command, name in (
    (cli_checkpoint.random_checkpoint, "random-checkpoint"),
    (cli_checkpoint.ternarise, "ternarise"),
    (cli_image.pack, "pack"),
    (cli_image.info, "info"),
    (cli_image.verilog, "verilog"),
    (cli_run.generate_text, "generate"),
    (cli_run.logits, "logits"),
    (cli_run.evaluate, "eval"),
    (cli_sim.cosim, "cosim"),
    (cli_sim.demo, "demo"),
    (cli_synth.synth, "synth"),
    (cli_power.power, "power"),
    (cli_bench.bench, "bench"),
    (cli_estimate.estimate_core, "estimate"),
    (cli_estimate.project_cores, "project"),
    (cli_estimate.write_report, "report"),
):
    app.command(name)(command)


def main() -> None:
    """Run the command line."""
    # work comes in pieces that fit the cache; threads that wait for one another cost far more than they bring
    torch.set_num_threads(1)
    app()


if __name__ == "__main__":
    main()
