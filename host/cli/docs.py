# SPDX-License-Identifier: Apache-2.0
"""The command that keeps documents as the data say."""

from dataclasses import asdict
from typing import Annotated

import typer

from tritforge.golden import Failure, TritforgeError
from tritforge.host.cli.console import err, print_json, say
from tritforge.host.cli.options import Json

WRITE, CHECK, COMMANDS = "--write", "--check", "--commands"


def docs(
    write: Annotated[bool, typer.Option(WRITE, help="Write every table, figure and picture.")] = False,
    check: Annotated[bool, typer.Option(CHECK, help="Name each that is not what the data say.")] = False,
    commands: Annotated[
        bool, typer.Option(COMMANDS, help="Print what has to be measured, one command a line.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="With --commands: also what is of today's core.")] = False,
    as_json: Json = False,
) -> None:
    """Write the tables, figures and pictures of README and docs from the data in perf/measured, or check them.

    The data carry digests of the Verilog and the model that they were measured on. What is of an earlier core fails
    the check, but for long measurements, of which the page itself says that they are older.

    Example: tritforge docs --check
    """
    from tritforge.host.docs.documents import Documents, earlier
    from tritforge.host.docs.places import FILES, PLACES
    from tritforge.perf.measured.entries import ROOT
    from tritforge.perf.measured.plan import every
    from tritforge.perf.measured.today import Today

    if write + check + commands != 1:
        raise TritforgeError(f"Say one of {WRITE}, {CHECK} and {COMMANDS}.")
    plan = every()
    there = [one for one in plan if one.there]
    # those that take hours are on no list of what is due, but documents show them
    shown = [one for place in PLACES.values() for one in place.needs if one.there]
    today = Today((subject for one in (*there, *shown) for subject, digest in one.entry.on.items() if digest), say)
    if commands:
        due = plan if everything else [one for one in plan if one not in there or earlier([one], today)]
        found = list(dict.fromkeys(one.command for one in due))
        if as_json:
            print_json(found)
        else:
            typer.echo("".join(f"{command}\n" for command in found), nl=False)
        return
    documents = Documents(ROOT, PLACES, FILES, today)
    if write:
        faults = list(documents.write())
        today.save()
    else:
        faults = list(documents.check())
    if as_json:
        print_json([asdict(fault) for fault in faults])
    for fault in () if as_json else faults:
        err.print(str(fault), highlight=False)
    if faults:
        remedy = "measure what is missing" if write else f"tritforge docs {WRITE} writes what can be written"
        many = "One place is" if len(faults) == 1 else f"{len(faults)} places are"
        raise Failure(f"{many} not what the data say; {remedy}.")
