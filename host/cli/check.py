# SPDX-License-Identifier: Apache-2.0
"""Check Verilog and netlists: what a strict lint says, what the reset reaches, what multipliers and memories take in.

Example: tritforge check lint build/verilog/tritforge.f
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from tritforge.golden import Failure, TritforgeError
from tritforge.host.cli.console import doing, err, out, print_json, say
from tritforge.host.cli.options import Json


def lint(
    lists: Annotated[
        list[Path], typer.Argument(help="Lists of files that verilog writes, NAME.f.", metavar="NAME.f...")
    ],
    as_json: Json = False,
) -> None:
    """Lint Verilog with Verilator, every warning on and none waived.

    Example: tritforge check lint build/verilog/tritforge.f
    """
    from tritforge.rtl_gen.verilog.lint import LintError, lint_list

    found = {}
    for path in lists:
        try:
            with doing(f"Checking {path}"):
                lint_list(path)
            found[str(path)] = ""
        except LintError as error:
            found[str(path)] = str(error)
        if not as_json:
            said = found[str(path)]
            (err if said else out).print(said or f"{path}: no warnings", highlight=False)
    if as_json:
        print_json(found)
    if failed := [name for name, said in found.items() if said]:
        raise Failure(f"There are warnings in {', '.join(failed)}; mend them.")


def reset(
    update: Annotated[bool, typer.Option("--update", help="Write the record anew: a registers' review.")] = False,
    as_json: Json = False,
) -> None:
    """Find registers that the reset leaves unknown, in the netlist of the preset tiny, and compare with the record.

    The record (rtl_gen/synthesis/unknown.json) holds payload: what nothing looks at before it is written.

    Example: tritforge check reset
    """
    from tritforge.rtl_gen.synthesis import unknown

    found = unknown.found(say)
    beyond = unknown.beyond(unknown.recorded(), found)
    if update:
        unknown.record(found)
    if as_json:
        print_json({"unknown": found, "not recorded": beyond})
    for line in () if as_json else beyond:
        err.print(line, highlight=False)
    if beyond and not update:
        raise Failure("The reset leaves registers unknown that are not recorded; reset them, or say --update.")
    if not as_json:
        out.print("The record is written." if update else "The reset reaches every register that is not payload.")


def blocks(
    netlist: Annotated[
        Path, typer.Argument(help="A netlist for ECP5 as Yosys writes it as JSON.", metavar="NETLIST.json")
    ],
    as_json: Json = False,
) -> None:
    """List a netlist's multipliers and memories: flip-flops that they can take in, or why they stay outside.

    Example: tritforge check blocks netlist.json
    """
    from dataclasses import asdict

    from tritforge.rtl_gen.synthesis.ecp5_pack import pack

    try:
        found = pack(json.loads(netlist.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TritforgeError(f"{netlist} is no netlist as JSON ({error}); write one with Yosys.") from error
    if as_json:
        print_json([asdict(finding) for finding in found])
        return
    for one in found:
        out.print(f"{one.cell}, {one.place}: {one.reason or f'{one.moved} flip-flops moved inside'}", highlight=False)
