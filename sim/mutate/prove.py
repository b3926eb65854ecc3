# SPDX-License-Identifier: Apache-2.0
"""Proofs that a mutant is none: its unit cannot be told from the unmutated one, from the first cycle on."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tritforge.rtl_gen.cache.folder import cache_folder
from tritforge.rtl_gen.tools.yowasp import run
from tritforge.sim.mutate.design import Design
from tritforge.sim.mutate.limited import limited
from tritforge.sim.mutate.mutants import Mutant

SECONDS = 10.0
"""For one proof; multipliers would take forever, and Yosys' own limit does not end them."""
STEPS = 12
"""Of the induction at most."""
MEMORY_BITS = 40_000
"""Of all memories of a unit at most: they become registers and multiplexers."""


def provable(design: Design, module: str) -> bool:
    """Whether a module, by its short name, is small enough: its memories are, with all that it contains."""
    bits = 0
    waiting = [design.own[module]]
    while waiting:
        netlist = design.modules[waiting.pop()]
        bits += sum(memory["width"] * memory["size"] for memory in netlist.get("memories", {}).values())
        waiting += [cell["type"] for cell in netlist["cells"].values() if cell["type"] in design.modules]
    return bits <= MEMORY_BITS


def parents(design: Design, module: str) -> list[str]:
    """Short names of the modules that have instances of one."""
    name = design.own[module]
    return [
        short
        for short, above in design.own.items()
        if any(cell["type"] == name for cell in design.modules[above]["cells"].values())
    ]


def sides(design: Design, mutant: Mutant, around: str) -> list[str]:
    """Yosys' commands that make ``gold`` and ``gate`` of a module, the mutant's or a parent: without and with it."""
    inside, module = design.own[mutant.module], design.own[around]
    if around == mutant.module:
        change = [f"mutate {mutant.command('gate')}"]
    else:
        change = [
            f"copy {inside} mutant",
            f"mutate {mutant.command('mutant')}",
            f"chtype -set mutant gate/t:{inside}",
        ]
    return [
        "read_rtlil base.il",
        f"hierarchy -top {module}",
        "setattr -mod -unset keep_hierarchy *",
        f"copy {module} gold",
        f"copy {module} gate",
        *change,
    ]


WIRES = (
    "flatten gold gate",
    "select gold gate",
    "memory_map",
    "opt_clean -purge",
    "select -clear",
    "equiv_make -inames gold gate equiv",
    "hierarchy -top equiv",
    # what nothing looks at goes before anything is proved
    "opt_clean -purge",
    "opt_merge",
    "opt_clean -purge",
    "equiv_simple",
    "equiv_induct -seq 3",
    "equiv_status -assert",
)
"""Wire by wire, registers too: each is the same where those before it are. Proves that what changes is not looked at,
in seconds and with any multipliers, but not that a wire that changes makes no difference."""
MITER = (
    "miter -equiv -flatten -make_outcmp gold gate miter",
    "hierarchy -top miter",
    "flatten",
    "memory_map",
    "opt -full",
    "opt_merge -share_all",
    "opt -full -share_all",
    f"sat -verify -tempinduct -prove trigger 0 -maxsteps {STEPS} -seq 1 miter",
)
"""Output by output. What is the same on both sides up to the mutant is merged; the rest is left to induction, which
knows nothing of what registers can hold."""


METHODS = {"wires": WIRES, "outputs": MITER}
"""The quick one first."""


def proved(design: Design, mutant: Mutant, method: Sequence[str], seconds: float) -> str:
    """Where a mutant is proved to be no change at all: the module, or its parents; empty where it is not.

    A module is looked at by itself, with any inputs: that no proof is found is no proof of a difference in the core.
    """
    answer = proof(design, mutant, mutant.module, method, seconds)
    if answer is not False:
        return (mutant.module or "(top)") if answer else ""
    above = parents(design, mutant.module)
    found = above and all(proof(design, mutant, one, method, seconds) for one in above)
    return " and ".join(one or "(top)" for one in above) if found else ""


def proof(design: Design, mutant: Mutant, around: str, method: Sequence[str], seconds: float) -> bool | None:
    """Whether one of the methods proves a module the same, the mutant's or a parent of it; None for no answer."""
    if not provable(design, around):
        return None
    with tempfile.TemporaryDirectory(prefix="prove-", dir=cache_folder()) as name:
        folder = Path(name)
        (folder / "base.il").write_bytes((design.folder / "base.il").read_bytes())
        (folder / "script.ys").write_text("\n".join([*sides(design, mutant, around), *method]) + "\n")
        outcome = limited(lambda: run("yosys", ["-q", "-s", "script.ys"], folder)[0], seconds)
    return None if outcome.over or outcome.value is None else outcome.value == 0
